/** What a press, a drag and a release of the pointer mean. Points and boxes are image pixels. */
import {
  type Box,
  type Handle,
  type Point,
  type Size,
  handleAt,
  heightOf,
  pulled,
  spanning,
  widthOf,
} from "./geometry";
import { type Outline, boxed, extentOf, hits, middles, moved, vertexAdded, vertexAt, vertexMoved } from "./outline";
import type { Shape } from "./shapes";

export type Gesture =
  | { type: "draw"; from: Point; box: Box | null }
  | { type: "move"; id: string; from: Point; start: Outline; outline: Outline; next: string | null }
  | { type: "resize"; id: string; handle: Handle; from: Point; start: Outline; outline: Outline }
  | { type: "vertex"; id: string; index: number; from: Point; start: Outline; outline: Outline };

export interface Press {
  readonly point: Point;
  readonly shapes: readonly Shape[];
  readonly selected: string | null;
  /** Draw even on top of a shape: in draw mode, or with Shift held. */
  readonly drawing: boolean;
  /** How far, in image pixels, the pointer may miss a handle. */
  readonly reach: number;
}

/**
 * A handle or point of the selected shape reshapes it, a shape moves, anything else draws.
 *
 * Shapes inside others stay reachable: the smallest under the pointer is taken, and a click (no drag) on the
 * selected one goes on to the next larger (`next`).
 */
export function pressed(press: Press): Gesture {
  const { point, shapes, selected } = press;
  if (press.drawing) return { type: "draw", from: point, box: null };
  const held = shapes.find((shape) => shape.id === selected);
  const grip = held ? gripped(held, press) : null;
  if (grip) return grip;
  const stack = stackAt(press);
  const top = stack.find((shape) => shape.id === selected) ?? stack[0];
  if (!top) return { type: "draw", from: point, box: null };
  const next = top.id === selected ? stack[(stack.indexOf(top) + 1) % stack.length] : undefined;
  return { type: "move", id: top.id, from: point, start: top, outline: top, next: next?.id ?? null };
}

/** The shapes under the pointer, the smallest first. */
export const stackAt = ({ shapes, point, reach }: Pick<Press, "shapes" | "point" | "reach">): Shape[] =>
  shapes
    .map((shape, index) => ({ shape, index }))
    .filter(({ shape }) => hits(shape, point, reach))
    .sort((a, b) => extentOf(a.shape) - extentOf(b.shape) || b.index - a.index)
    .map(({ shape }) => shape);

function gripped(held: Shape, { point, reach }: Press): Gesture | null {
  if (held.type === "box") {
    const handle = handleAt(held.box, point, reach);
    return handle && { type: "resize", id: held.id, handle, from: point, start: held, outline: held };
  }
  const index = held.type === "point" ? null : vertexAt(held, point, reach);
  if (index !== null) return { type: "vertex", id: held.id, index, from: point, start: held, outline: held };
  const middle = middles(held).find(({ at }) => Math.hypot(at.x - point.x, at.y - point.y) <= reach);
  if (!middle) return null;
  const start = vertexAdded(held, middle.index, middle.at);
  return { type: "vertex", id: held.id, index: middle.index, from: point, start, outline: start };
}

export function dragged(gesture: Gesture, point: Point, image: Size): Gesture {
  const dx = point.x - gesture.from.x;
  const dy = point.y - gesture.from.y;
  switch (gesture.type) {
    case "draw":
      return { ...gesture, box: spanning(gesture.from, point, image) };
    case "move":
      return { ...gesture, outline: moved(gesture.start, dx, dy, image) };
    case "resize":
      return { ...gesture, outline: boxed(pulled(gesture.start.box, gesture.handle, dx, dy, image)) };
    case "vertex":
      return { ...gesture, outline: vertexMoved(gesture.start, gesture.index, point, image) };
  }
}

/** Whether a drawn box is meant as one, rather than a slip of the hand: `least` image pixels on both sides. */
export const isMeant = (box: Box, least: number): boolean => widthOf(box) >= least && heightOf(box) >= least;

/** What the pointer would do here, for the cursor. */
export function hovered(press: Press): Gesture["type"] | Handle {
  const gesture = pressed(press);
  return gesture.type === "resize" ? gesture.handle : gesture.type;
}
