import { expect, test } from "vitest";
import { mapCommandOf } from "./keys";

const key = (name: string, held: Partial<Record<"ctrlKey" | "metaKey" | "altKey" | "shiftKey", boolean>> = {}) => ({
  key: name,
  ctrlKey: false,
  metaKey: false,
  altKey: false,
  shiftKey: false,
  repeat: false,
  ...held,
});

test.each([
  ["ArrowRight", { type: "pan", dx: -60, dy: 0 }],
  ["+", { type: "zoom", factor: 1.25 }],
  ["F", { type: "fit" }],
  ["Enter", { type: "pick" }],
  ["s", { type: "select-seen" }],
  ["Escape", { type: "escape" }],
  ["Tab", null],
  ["x", null],
])("%s means %o", (name, command) => {
  expect(mapCommandOf(key(name))).toEqual(command);
});

test("keys of the browser stay the browser's", () => {
  expect(mapCommandOf(key("s", { ctrlKey: true }))).toBeNull();
  expect(mapCommandOf(key("+", { metaKey: true }))).toBeNull();
});
