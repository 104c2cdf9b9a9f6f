/** Two fingers on the map. */
import type { Point, Size } from "../review/geometry";
import { type Viewport, panned, zoomed } from "../review/viewport";

export type Fingers = readonly [Point, Point];

/** Zoomed by how far the fingers went apart, and moved with them, so that what is under each stays there. */
export function pinched(view: Viewport, before: Fingers, after: Fingers, plane: Size, canvas: Size): Viewport {
  const factor = apart(after) / Math.max(apart(before), 1);
  const from = between(before);
  const to = between(after);
  return panned(zoomed(view, factor, from, plane, canvas), to.x - from.x, to.y - from.y, plane, canvas);
}

const apart = ([a, b]: Fingers): number => Math.max(Math.hypot(a.x - b.x, a.y - b.y), 1);
const between = ([a, b]: Fingers): Point => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });
