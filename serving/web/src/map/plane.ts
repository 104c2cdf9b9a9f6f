/** The plane that points lie on: PLANE units across its longer side, y downwards as on a screen. It takes the place that
 *  an image has in review/viewport.ts. */
import type { Point, Size } from "../review/geometry";

export interface Plane {
  readonly xs: Float32Array;
  readonly ys: Float32Array;
  readonly size: Size;
}

const PLANE = 1000;
const LEAST_SIDE = PLANE / 4; // a line of points is still a plane that can be looked at

/** The map's own units, whatever they are, scaled and turned over (there y goes up) without being stretched. */
export function planeOf(x: Float32Array, y: Float32Array): Plane {
  const [left, right] = spread(x);
  const [low, high] = spread(y);
  const longer = Math.max(right - left, high - low);
  const scale = longer > 0 ? PLANE / longer : 1;
  const size = {
    width: Math.max((right - left) * scale, LEAST_SIDE),
    height: Math.max((high - low) * scale, LEAST_SIDE),
  };
  const middle = { x: (left + right) / 2, y: (low + high) / 2 };
  return {
    xs: x.map((value) => size.width / 2 + (value - middle.x) * scale),
    ys: y.map((value) => size.height / 2 - (value - middle.y) * scale),
    size,
  };
}

export const placeOf = (plane: Plane, row: number): Point => ({ x: plane.xs[row] ?? 0, y: plane.ys[row] ?? 0 });

function spread(values: Float32Array): [low: number, high: number] {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : [0, 0];
}
