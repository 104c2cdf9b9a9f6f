/** Which point is under the pointer: points sorted into cells, so that only those nearby are measured. */
import type { Point } from "../review/geometry";
import type { Plane } from "./plane";

export interface Grid {
  readonly plane: Plane;
  readonly columns: number;
  readonly rows: number;
  readonly cell: number;
  /** Of each cell, where its rows begin in `order`; one more at the end. */
  readonly starts: Uint32Array;
  readonly order: Uint32Array;
}

const POINTS_IN_A_CELL = 2;

export function gridOf(plane: Plane): Grid {
  const count = plane.xs.length;
  const { width, height } = plane.size;
  const cell = Math.sqrt((width * height * POINTS_IN_A_CELL) / Math.max(count, 1));
  const columns = Math.max(1, Math.ceil(width / cell));
  const rows = Math.max(1, Math.ceil(height / cell));
  const cells = new Uint32Array(count);
  const starts = new Uint32Array(columns * rows + 1);
  for (let i = 0; i < count; i += 1) {
    const at = clamp((plane.ys[i] as number) / cell, rows) * columns + clamp((plane.xs[i] as number) / cell, columns);
    cells[i] = at;
    starts[at + 1] = (starts[at + 1] as number) + 1;
  }
  for (let at = 0; at < columns * rows; at += 1) starts[at + 1] = (starts[at + 1] as number) + (starts[at] as number);
  const next = starts.slice();
  const order = new Uint32Array(count);
  for (let i = 0; i < count; i += 1) {
    const at = cells[i] as number;
    order[next[at] as number] = i;
    next[at] = (next[at] as number) + 1;
  }
  return { plane, columns, rows, cell, starts, order };
}

/** The row whose point is nearest, no farther than `reach` (units of the plane) and not left out; null for none. */
export function nearest(grid: Grid, point: Point, reach: number, leftOut: (row: number) => boolean): number | null {
  const { plane, columns, rows, cell, starts, order } = grid;
  const [left, right] = [clamp((point.x - reach) / cell, columns), clamp((point.x + reach) / cell, columns)];
  const [top, bottom] = [clamp((point.y - reach) / cell, rows), clamp((point.y + reach) / cell, rows)];
  let best: number | null = null;
  let closest = reach * reach;
  for (let row = top; row <= bottom; row += 1) {
    // The cells of a row lie one after another, and so do their points.
    const end = starts[row * columns + right + 1] as number;
    for (let at = starts[row * columns + left] as number; at < end; at += 1) {
      const i = order[at] as number;
      const dx = (plane.xs[i] as number) - point.x;
      const dy = (plane.ys[i] as number) - point.y;
      const far = dx * dx + dy * dy;
      if (far <= closest && !leftOut(i)) [best, closest] = [i, far];
    }
  }
  return best;
}

const clamp = (value: number, limit: number): number => Math.min(Math.max(Math.floor(value), 0), limit - 1);
