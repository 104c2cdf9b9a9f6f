/** What each key means on the review page. Labels' own keys come first: a recipe may take any letter or digit. */
import type { CustomFunction } from "../api/types";
import type { Label } from "../api/types";

export type Command =
  | { type: "label"; name: string }
  | { type: "act"; name: string }
  | { type: "find-label" }
  | { type: "draw" }
  | { type: "cycle"; by: 1 | -1 }
  | { type: "nudge"; dx: number; dy: number }
  | { type: "stretch"; dx: number; dy: number }
  | { type: "grow"; by: number }
  | { type: "vertex"; by: 1 | -1 }
  | { type: "vertex-add" }
  | { type: "mark" }
  | { type: "say" }
  | { type: "link" }
  | { type: "matter"; by: 1 | -1 }
  | { type: "toggle-answer"; number: number }
  | { type: "take-answer"; number: number }
  | { type: "accept" }
  | { type: "return" }
  | { type: "comment" }
  | { type: "frame"; by: 1 | -1 }
  | { type: "key-frame" }
  | { type: "outside" }
  | { type: "remove" }
  | { type: "undo" }
  | { type: "redo" }
  | { type: "submit" }
  | { type: "skip" }
  | { type: "hide" }
  | { type: "fit" }
  | { type: "zoom"; factor: number }
  | { type: "help" }
  | { type: "escape" };

export interface Key {
  readonly key: string;
  /** The key's place on the keyboard, whatever is printed on it. */
  readonly code?: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly altKey: boolean;
  readonly shiftKey: boolean;
  readonly repeat: boolean;
}

export const ZOOM_STEP = 1.25;
const STEP = 1;
const BIG_STEP = 10;

const ARROWS: Record<string, readonly [dx: number, dy: number]> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

const PLAIN: Record<string, Command> = {
  n: { type: "draw" },
  s: { type: "skip" },
  h: { type: "hide" },
  f: { type: "fit" },
  a: { type: "say" },
  l: { type: "link" },
  x: { type: "mark" },
  y: { type: "accept" },
  r: { type: "return" },
  c: { type: "comment" },
  k: { type: "key-frame" },
  o: { type: "outside" },
  ",": { type: "frame", by: -1 },
  ".": { type: "frame", by: 1 },
  Insert: { type: "vertex-add" },
  "0": { type: "fit" },
  "+": { type: "zoom", factor: ZOOM_STEP },
  "=": { type: "zoom", factor: ZOOM_STEP },
  "-": { type: "zoom", factor: 1 / ZOOM_STEP },
  _: { type: "zoom", factor: 1 / ZOOM_STEP },
  "?": { type: "help" },
  "/": { type: "find-label" },
  "[": { type: "grow", by: -STEP },
  "]": { type: "grow", by: STEP },
  "{": { type: "grow", by: -BIG_STEP },
  "}": { type: "grow", by: BIG_STEP },
  Delete: { type: "remove" },
  Backspace: { type: "remove" },
  Escape: { type: "escape" },
};

/** Letters that go the other way with Shift. */
const BOTH_WAYS: Record<string, "vertex" | "matter"> = { v: "vertex", j: "matter" };

/** Commands that a held key repeats; the others happen once a press. */
const REPEATING: ReadonlySet<Command["type"]> = new Set([
  "nudge",
  "stretch",
  "grow",
  "cycle",
  "vertex",
  "frame",
  "undo",
  "redo",
  "zoom",
]);

export function commandOf(
  key: Key,
  labels: readonly Label[],
  functions: readonly CustomFunction[] = [],
): Command | null {
  const command = key.ctrlKey || key.metaKey ? withControl(key) : withoutControl(key, labels, functions);
  return command && key.repeat && !REPEATING.has(command.type) ? null : command;
}

function withControl(key: Key): Command | null {
  if (key.altKey) return null;
  const letter = key.key.toLowerCase();
  if (letter === "z") return { type: key.shiftKey ? "redo" : "undo" };
  return letter === "y" ? { type: "redo" } : null;
}

function withoutControl(key: Key, labels: readonly Label[], functions: readonly CustomFunction[]): Command | null {
  const arrow = ARROWS[key.key];
  if (arrow) {
    const step = key.shiftKey ? BIG_STEP : STEP;
    return { type: key.altKey ? "stretch" : "nudge", dx: arrow[0] * step, dy: arrow[1] * step };
  }
  const digit = key.shiftKey ? /^Digit([1-9])$/.exec(key.code ?? "") : null;
  if (digit) return { type: key.altKey ? "take-answer" : "toggle-answer", number: Number(digit[1]) };
  if (key.altKey) return null;
  if (key.key === "Tab") return { type: "cycle", by: key.shiftKey ? -1 : 1 };
  if (key.key === "Enter") return key.shiftKey ? null : { type: "submit" };
  const letter = key.key.toLowerCase();
  const label = labels.find((candidate) => candidate.key !== "" && candidate.key.toLowerCase() === letter);
  if (label) return { type: "label", name: label.name };
  const custom = functions.find((candidate) => candidate.key !== "" && candidate.key.toLowerCase() === letter);
  if (custom) return { type: "act", name: custom.name };
  const both = BOTH_WAYS[letter];
  if (both) return { type: both, by: key.shiftKey ? -1 : 1 };
  return PLAIN[key.key] ?? PLAIN[letter] ?? null;
}

export interface Hint {
  readonly keys: readonly string[];
  readonly does: string;
}

export interface HintGroup {
  readonly title: string;
  readonly hints: readonly Hint[];
}

const GROUPS: readonly HintGroup[] = [
  {
    title: "Answer",
    hints: [
      { keys: ["Enter"], does: "Submit and go to the next image; end a polygon or line" },
      { keys: ["S"], does: "Skip, with a reason" },
      { keys: ["J", "Shift J"], does: "Next, previous shape with an issue or a dispute" },
      { keys: ["Ctrl Z"], does: "Undo" },
      { keys: ["Ctrl Shift Z"], does: "Redo" },
    ],
  },
  {
    title: "Shapes",
    hints: [
      { keys: ["N"], does: "Draw: then drag or click, or Enter for one in the middle" },
      { keys: ["Tab", "Shift Tab"], does: "Next, previous shape" },
      { keys: ["↑ ↓ ← →"], does: "Move by 1 px (Shift: 10 px)" },
      { keys: ["Alt ↑ ↓ ← →"], does: "Move a box's right or lower edge (Shift: 10 px)" },
      { keys: ["[", "]"], does: "Shrink, grow a box on all sides (Shift: 10 px)" },
      { keys: ["V", "Shift V"], does: "Next, previous point of the shape: arrows move it" },
      { keys: ["Insert"], does: "Add a point after the chosen one" },
      { keys: ["Delete"], does: "Remove the shape, or the chosen point" },
      { keys: ["X"], does: "Select the next shape as well (also Shift click)" },
      { keys: ["A"], does: "To the attributes of the selected shape; Esc comes back" },
      { keys: ["L"], does: "Link the selected shape: Tab to the other one, Enter" },
      { keys: ["label key"], does: "Relabel the selected shape; with none selected, choose the label to draw" },
      { keys: ["/"], does: "Find a label by name" },
    ],
  },
  {
    title: "Answers of others, and their check",
    hints: [
      { keys: ["Shift 1…9"], does: "Show or hide an answer" },
      { keys: ["Alt Shift 1…9"], does: "Take all of an answer" },
      { keys: ["Y"], does: "Accept the answer as it is" },
      { keys: ["R"], does: "Say what is to be mended, about the selected shapes" },
      { keys: ["C"], does: "Comment on the image or the selected shape" },
    ],
  },
  {
    title: "Clips",
    hints: [
      { keys: [",", "."], does: "Previous, next frame" },
      { keys: ["K"], does: "Follow the selected shape; on another frame, set it there" },
      { keys: ["O"], does: "Not to be seen from this frame to the next one it is set on; again: it is" },
    ],
  },
  {
    title: "View",
    hints: [
      { keys: ["H"], does: "Hide or show the shapes" },
      { keys: ["0", "F"], does: "Fit the image" },
      { keys: ["+", "−"], does: "Zoom (also the wheel)" },
      { keys: ["Space drag"], does: "Pan (also the middle button)" },
      { keys: ["Esc"], does: "Cancel, or deselect; then Tab leaves the image" },
      { keys: ["?"], does: "This help" },
    ],
  },
  {
    title: "Mouse",
    hints: [
      { keys: ["drag"], does: "On the image: draw. On a shape: move. On an edge, corner or point: reshape" },
      { keys: ["double click"], does: "End a polygon or line; so does a click on its first point" },
      { keys: ["drag ◦"], does: "The middle of an edge becomes a point" },
      { keys: ["Shift drag"], does: "Draw on top of a shape" },
      { keys: ["click again"], does: "Go on to the larger shape below" },
      { keys: ["click"], does: "On another's shape: take it" },
    ],
  },
];

/** All keys but those that a label or a function has taken. */
export function hints(labels: readonly Label[], functions: readonly CustomFunction[] = []): HintGroup[] {
  const taken = new Set([...labels, ...functions].map((one) => one.key.toLowerCase()).filter((key) => key !== ""));
  const free = (keys: readonly string[]): string[] => keys.filter((key) => !taken.has(bareKey(key)));
  const groups = GROUPS.map((group) => ({
    title: group.title,
    hints: group.hints.map((hint) => ({ ...hint, keys: free(hint.keys) })).filter((hint) => hint.keys.length > 0),
  }));
  const own = functions.filter((one) => one.key !== "");
  if (own.length === 0) return groups;
  const does = own.map((one) => ({ keys: [one.key.toUpperCase()], does: one.description || one.label }));
  return [...groups, { title: "This project", hints: does }];
}

/** "Shift J" is taken with "J". */
const bareKey = (key: string): string => (/^Shift \w$/.test(key) ? key.slice(-1) : key).toLowerCase();
