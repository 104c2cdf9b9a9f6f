/** A polygon or polyline while it is drawn, click by click. Points are image pixels. */
import type { Point, Size } from "./geometry";
import { LEAST_POINTS, type Outline, distance, through } from "./outline";

export interface Path {
  readonly type: "polygon" | "polyline";
  readonly points: readonly Point[];
}

export type PathStep =
  | { type: "set"; at: Point }
  | { type: "back" }
  /** Ends it, where there is enough of it. */
  | { type: "end" };

export interface PathOutcome {
  readonly path: Path;
  /** What was drawn, once it is ended. */
  readonly outline: Outline | null;
}

export const begunPath = (type: Path["type"]): Path => ({ type, points: [] });

/** `reach`: image pixels within which a click on the first point closes a polygon, or on the last ends it. */
export function pathStepped(path: Path, step: PathStep, image: Size, reach: number): PathOutcome {
  const going = (points: readonly Point[]): PathOutcome => ({ path: { ...path, points }, outline: null });
  switch (step.type) {
    case "back":
      return going(path.points.slice(0, -1));
    case "end":
      return ended(path, image);
    case "set": {
      const enough = path.points.length >= LEAST_POINTS[path.type];
      const closing = path.type === "polygon" ? [path.points[0], path.points.at(-1)] : [path.points.at(-1)];
      if (enough && closing.some((point) => point && distance(point, step.at) <= reach)) return ended(path, image);
      return going([...path.points, step.at]);
    }
  }
}

function ended(path: Path, image: Size): PathOutcome {
  const outline = through(path.type, path.points, image);
  return { path: outline ? begunPath(path.type) : path, outline };
}
