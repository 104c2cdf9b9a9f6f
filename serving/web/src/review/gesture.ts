/** What a press, a drag and a release of the pointer mean. Points and boxes are image pixels. */
import {
  type Box,
  type Handle,
  type Point,
  type Size,
  handleAt,
  heightOf,
  moved,
  pulled,
  spanning,
  under,
  widthOf,
} from "./geometry";
import type { Shape } from "./shapes";

export type Gesture =
  | { type: "draw"; from: Point; box: Box | null }
  | { type: "move"; id: string; from: Point; start: Box; box: Box; next: string | null }
  | { type: "resize"; id: string; handle: Handle; from: Point; start: Box; box: Box };

export interface Press {
  readonly point: Point;
  readonly shapes: readonly Shape[];
  readonly selected: string | null;
  /** Draw even on top of a box: in draw mode, or with Shift held. */
  readonly drawing: boolean;
  /** How far, in image pixels, the pointer may miss a handle. */
  readonly reach: number;
}

/**
 * A handle of the selected box resizes, a box moves, anything else draws.
 *
 * Boxes inside others stay reachable: the smallest under the pointer is taken, and a click (no drag) on the
 * selected one goes on to the next larger (`next`).
 */
export function pressed(press: Press): Gesture {
  const { point, shapes, selected, reach } = press;
  if (press.drawing) return { type: "draw", from: point, box: null };
  const held = shapes.find((shape) => shape.id === selected);
  const handle = held ? handleAt(held.box, point, reach) : null;
  if (held && handle) return { type: "resize", id: held.id, handle, from: point, start: held.box, box: held.box };
  const stack = under(
    shapes.map((shape) => shape.box),
    point,
    reach / 2,
  ).flatMap((index) => shapes[index] ?? []);
  const top = stack.find((shape) => shape.id === selected) ?? stack[0];
  if (!top) return { type: "draw", from: point, box: null };
  const next = top.id === selected ? stack[(stack.indexOf(top) + 1) % stack.length] : undefined;
  return { type: "move", id: top.id, from: point, start: top.box, box: top.box, next: next?.id ?? null };
}

export function dragged(gesture: Gesture, point: Point, image: Size): Gesture {
  const dx = point.x - gesture.from.x;
  const dy = point.y - gesture.from.y;
  switch (gesture.type) {
    case "draw":
      return { ...gesture, box: spanning(gesture.from, point, image) };
    case "move":
      return { ...gesture, box: moved(gesture.start, dx, dy, image) };
    case "resize":
      return { ...gesture, box: pulled(gesture.start, gesture.handle, dx, dy, image) };
  }
}

/** Whether a drawn box is meant as one, rather than a slip of the hand: `least` image pixels on both sides. */
export const isMeant = (box: Box, least: number): boolean => widthOf(box) >= least && heightOf(box) >= least;

/** What the pointer would do here, for the cursor. */
export function hovered(press: Press): Gesture["type"] | Handle {
  const gesture = pressed(press);
  return gesture.type === "resize" ? gesture.handle : gesture.type;
}
