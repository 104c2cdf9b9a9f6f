/** What each key means while the map has the focus. */
import { type Key, ZOOM_STEP } from "../review/keymap";

export type MapCommand =
  | { type: "pan"; dx: number; dy: number }
  | { type: "zoom"; factor: number }
  | { type: "fit" }
  | { type: "pick" }
  | { type: "select-seen" }
  | { type: "escape" };

const STEP = 60; // CSS px

const COMMANDS: Record<string, MapCommand> = {
  // The map moves as if one looked the other way: to the right, what is at the right comes into sight.
  ArrowLeft: { type: "pan", dx: STEP, dy: 0 },
  ArrowRight: { type: "pan", dx: -STEP, dy: 0 },
  ArrowUp: { type: "pan", dx: 0, dy: STEP },
  ArrowDown: { type: "pan", dx: 0, dy: -STEP },
  "+": { type: "zoom", factor: ZOOM_STEP },
  "=": { type: "zoom", factor: ZOOM_STEP },
  "-": { type: "zoom", factor: 1 / ZOOM_STEP },
  _: { type: "zoom", factor: 1 / ZOOM_STEP },
  f: { type: "fit" },
  "0": { type: "fit" },
  s: { type: "select-seen" },
  Enter: { type: "pick" },
  Escape: { type: "escape" },
};

export function mapCommandOf(key: Key): MapCommand | null {
  if (key.ctrlKey || key.metaKey || key.altKey) return null;
  return COMMANDS[key.key.length === 1 ? key.key.toLowerCase() : key.key] ?? null;
}
