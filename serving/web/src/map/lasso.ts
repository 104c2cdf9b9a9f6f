/** What a line that was drawn around points encloses. */
import type { Box, Point } from "../review/geometry";
import type { Plane } from "./plane";

const LEAST_CORNERS = 3;

/** Rows inside the polygon, which closes by itself, in order; by the even-odd rule where it crosses itself. */
export function enclosed(plane: Plane, polygon: readonly Point[], leftOut: (row: number) => boolean): Int32Array {
  if (polygon.length < LEAST_CORNERS) return new Int32Array();
  const [x1, y1, x2, y2] = around(polygon);
  const found: number[] = [];
  for (let i = 0; i < plane.xs.length; i += 1) {
    const x = plane.xs[i] as number;
    const y = plane.ys[i] as number;
    if (x >= x1 && x <= x2 && y >= y1 && y <= y2 && isInside(polygon, x, y) && !leftOut(i)) found.push(i);
  }
  return Int32Array.from(found);
}

export const cornersOf = ([x1, y1, x2, y2]: Box): Point[] => [
  { x: x1, y: y1 },
  { x: x2, y: y1 },
  { x: x2, y: y2 },
  { x: x1, y: y2 },
];

function isInside(polygon: readonly Point[], x: number, y: number): boolean {
  let inside = false;
  let before = polygon[polygon.length - 1] as Point;
  for (const corner of polygon) {
    // Counts the sides that a ray to the right crosses.
    if (
      corner.y > y !== before.y > y &&
      x < corner.x + ((before.x - corner.x) * (y - corner.y)) / (before.y - corner.y)
    )
      inside = !inside;
    before = corner;
  }
  return inside;
}

function around(polygon: readonly Point[]): Box {
  const xs = polygon.map((corner) => corner.x);
  const ys = polygon.map((corner) => corner.y);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}
