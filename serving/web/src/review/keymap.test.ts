import { expect, test } from "vitest";
import { type Key, commandOf, hints } from "./keymap";

const labels = [
  { name: "three", color: "#ffffff", key: "3" },
  { name: "queue", color: "#ffffff", key: "q" },
];
const digits = [...labels, { name: "zero", color: "#ffffff", key: "0" }];
const press = (key: string, held: Partial<Key> = {}): Key => ({
  key,
  ctrlKey: false,
  metaKey: false,
  altKey: false,
  shiftKey: false,
  repeat: false,
  ...held,
});

test.each([
  [press("3"), { type: "label", name: "three" }],
  [press("Q"), { type: "label", name: "queue" }],
  [press("n"), { type: "draw" }],
  [press("Tab"), { type: "cycle", by: 1 }],
  [press("Tab", { shiftKey: true }), { type: "cycle", by: -1 }],
  [press("ArrowLeft"), { type: "nudge", dx: -1, dy: 0 }],
  [press("ArrowDown", { shiftKey: true }), { type: "nudge", dx: 0, dy: 10 }],
  [press("ArrowRight", { altKey: true }), { type: "stretch", dx: 1, dy: 0 }],
  [press("ArrowUp", { altKey: true, shiftKey: true }), { type: "stretch", dx: 0, dy: -10 }],
  [press("]"), { type: "grow", by: 1 }],
  [press("{", { shiftKey: true }), { type: "grow", by: -10 }],
  [press("Backspace"), { type: "remove" }],
  [press("z", { ctrlKey: true }), { type: "undo" }],
  [press("Z", { metaKey: true, shiftKey: true }), { type: "redo" }],
  [press("y", { ctrlKey: true }), { type: "redo" }],
  [press("Enter"), { type: "submit" }],
  [press("s"), { type: "skip" }],
  [press("o"), { type: "outside" }],
  [press("?", { shiftKey: true }), { type: "help" }],
  [press("0"), { type: "fit" }],
])("%o", (key, command) => {
  expect(commandOf(key, labels)).toEqual(command);
});

test("a label's own key wins over a command, which keeps its other key", () => {
  expect(commandOf(press("0"), digits)).toEqual({ type: "label", name: "zero" });
  expect(commandOf(press("f"), digits)).toEqual({ type: "fit" });
});

test("a held Enter submits once, a held arrow goes on moving", () => {
  expect(commandOf(press("Enter", { repeat: true }), labels)).toBeNull();
  expect(commandOf(press("ArrowUp", { repeat: true }), labels)).not.toBeNull();
});

test.each([press("s", { ctrlKey: true }), press("3", { ctrlKey: true }), press("n", { altKey: true }), press("e")])(
  "what belongs to the browser, or to nobody, is no command: %o",
  (key) => {
    expect(commandOf(key, labels)).toBeNull();
  },
);

test("the help names no key that a label took", () => {
  const keys = (of: typeof labels) => hints(of).flatMap((group) => group.hints.flatMap((hint) => hint.keys));
  expect(keys(labels)).toContain("0");
  expect(keys(digits)).not.toContain("0");
});

const custom = [
  { name: "snap", label: "Snap", key: "e", description: "Fits boxes", needs_selection: true },
  { name: "seven", label: "Seven", key: "q", description: "", needs_selection: false },
];

test.each([
  [press("j"), { type: "matter", by: 1 }],
  [press("J", { shiftKey: true }), { type: "matter", by: -1 }],
  [press("V", { shiftKey: true }), { type: "vertex", by: -1 }],
  [press("!", { shiftKey: true, code: "Digit1" }), { type: "toggle-answer", number: 1 }],
  [press("¡", { shiftKey: true, altKey: true, code: "Digit2" }), { type: "take-answer", number: 2 }],
  [press("l"), { type: "link" }],
  [press("."), { type: "frame", by: 1 }],
])("what came with more than boxes: %o", (key, command) => {
  expect(commandOf(key, labels)).toEqual(command);
});

test("a function has its key, unless a label has it", () => {
  expect(commandOf(press("e"), labels, custom)).toEqual({ type: "act", name: "snap" });
  expect(commandOf(press("q"), labels, custom)).toEqual({ type: "label", name: "queue" });
});

test("the help tells the functions of the project, and not what their keys do elsewhere", () => {
  const taken = [{ name: "j", label: "J", key: "j", description: "Joins", needs_selection: true }];
  const all = hints(labels, taken).flatMap((group) => group.hints);
  expect(all.filter(({ keys }) => keys.includes("J")).map(({ does }) => does)).toEqual(["Joins"]);
  expect(all.some(({ keys }) => keys.includes("Shift J"))).toBe(false);
});
