/** What each key means on the review page. Labels' own keys come first: a recipe may take any letter or digit. */
import type { Label } from "../api/types";

export type Command =
  | { type: "label"; name: string }
  | { type: "find-label" }
  | { type: "draw" }
  | { type: "cycle"; by: 1 | -1 }
  | { type: "nudge"; dx: number; dy: number }
  | { type: "stretch"; dx: number; dy: number }
  | { type: "grow"; by: number }
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

/** Commands that a held key repeats; the others happen once a press. */
const REPEATING: ReadonlySet<Command["type"]> = new Set(["nudge", "stretch", "grow", "cycle", "undo", "redo", "zoom"]);

export function commandOf(key: Key, labels: readonly Label[]): Command | null {
  const command = key.ctrlKey || key.metaKey ? withControl(key) : withoutControl(key, labels);
  return command && key.repeat && !REPEATING.has(command.type) ? null : command;
}

function withControl(key: Key): Command | null {
  if (key.altKey) return null;
  const letter = key.key.toLowerCase();
  if (letter === "z") return { type: key.shiftKey ? "redo" : "undo" };
  return letter === "y" ? { type: "redo" } : null;
}

function withoutControl(key: Key, labels: readonly Label[]): Command | null {
  const arrow = ARROWS[key.key];
  if (arrow) {
    const step = key.shiftKey ? BIG_STEP : STEP;
    return { type: key.altKey ? "stretch" : "nudge", dx: arrow[0] * step, dy: arrow[1] * step };
  }
  if (key.altKey) return null;
  if (key.key === "Tab") return { type: "cycle", by: key.shiftKey ? -1 : 1 };
  if (key.key === "Enter") return key.shiftKey ? null : { type: "submit" };
  const label = labels.find(
    (candidate) => candidate.key !== "" && candidate.key.toLowerCase() === key.key.toLowerCase(),
  );
  if (label) return { type: "label", name: label.name };
  return PLAIN[key.key] ?? PLAIN[key.key.toLowerCase()] ?? null;
}

export interface Hint {
  readonly keys: readonly string[];
  readonly does: string;
}

export interface HintGroup {
  readonly title: string;
  readonly hints: readonly Hint[];
}

/** The help overlay: every command with its keys, leaving out keys that this project's labels took. */
export function hints(labels: readonly Label[]): HintGroup[] {
  const taken = new Set(labels.map((label) => label.key.toLowerCase()));
  const free = (keys: readonly string[]): string[] => keys.filter((key) => !taken.has(key.toLowerCase()));
  const groups: HintGroup[] = [
    {
      title: "Answer",
      hints: [
        { keys: ["Enter"], does: "Submit and go to the next image" },
        { keys: ["S"], does: "Skip, with a reason" },
        { keys: ["Ctrl Z"], does: "Undo" },
        { keys: ["Ctrl Shift Z"], does: "Redo" },
      ],
    },
    {
      title: "Boxes",
      hints: [
        { keys: ["N"], does: "Draw a box: then drag, or Enter for one in the middle" },
        { keys: ["Tab", "Shift Tab"], does: "Next, previous box" },
        { keys: ["↑ ↓ ← →"], does: "Move by 1 px (Shift: 10 px)" },
        { keys: ["Alt ↑ ↓ ← →"], does: "Move the right or lower edge (Shift: 10 px)" },
        { keys: ["[", "]"], does: "Shrink, grow on all sides (Shift: 10 px)" },
        { keys: ["Delete"], does: "Remove" },
        { keys: ["label key"], does: "Relabel the selected box; with none selected, choose the label to draw" },
        { keys: ["/"], does: "Find a label by name" },
      ],
    },
    {
      title: "View",
      hints: [
        { keys: ["H"], does: "Hide or show the boxes" },
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
        { keys: ["drag"], does: "On the image: draw. On a box: move. On an edge or corner: resize" },
        { keys: ["Shift drag"], does: "Draw on top of a box" },
        { keys: ["click again"], does: "Go on to the larger box below" },
      ],
    },
  ];
  return groups.map((group) => ({
    title: group.title,
    hints: group.hints.map((hint) => ({ ...hint, keys: free(hint.keys) })).filter((hint) => hint.keys.length > 0),
  }));
}
