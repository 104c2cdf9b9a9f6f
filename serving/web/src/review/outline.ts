/**
 * Where a shape lies: a box, or the points of what is drawn otherwise. Image pixels; every function answers an outline
 * inside the image, whose box is that around its points.
 */
import type { Geometry } from "../api/types";
import {
  type Box,
  type Point,
  type Size,
  clipped,
  contains,
  heightOf,
  middleBox,
  moved as movedBox,
  widthOf,
} from "./geometry";

export interface Outline {
  readonly type: Geometry;
  readonly box: Box;
  /** Of a box none, of a point one; of a polygon without repeating the first. */
  readonly points: readonly Point[];
}

/** How many distinct points make one. */
export const LEAST_POINTS: Readonly<Record<Geometry, number>> = { box: 0, point: 1, polyline: 2, polygon: 3 };

export const boxed = (box: Box): Outline => ({ type: "box", box, points: [] });

/** The outline through these points, or null where they are too few or enclose nothing. */
export function through(type: Exclude<Geometry, "box">, points: readonly Point[], image: Size): Outline | null {
  const kept = type === "point" ? points.slice(0, 1) : distinct(points.map((point) => inside(point, image)));
  const placed = kept.map((point) => inside(point, image));
  const different = new Set(placed.map((point) => `${point.x} ${point.y}`)).size;
  if (different < LEAST_POINTS[type] || (type === "polygon" && areaWithin(placed) === 0)) return null;
  return { type, box: around(placed), points: placed };
}

/** As the service tells it, to the last digit, or null where it lies outside the image. */
export function outlineOf(
  type: Geometry,
  box: readonly number[],
  points: readonly Point[],
  image: Size,
): Outline | null {
  if (type === "box") {
    const part = clipped(box, image);
    return part && boxed(part);
  }
  if (!through(type, points, image)) return null;
  const placed = points.map((point) => within(point, image));
  return { type, box: around(placed), points: placed };
}

export const sameOutline = (a: Outline, b: Outline): boolean =>
  a.type === b.type &&
  a.box.every((value, index) => value === b.box[index]) &&
  a.points.length === b.points.length &&
  a.points.every((point, index) => point.x === b.points[index]?.x && point.y === b.points[index]?.y);

/** The same form elsewhere, stopped by the image's edges. */
export function moved(outline: Outline, dx: number, dy: number, image: Size): Outline {
  const box = movedBox(outline.box, dx, dy, image);
  const [x, y] = [box[0] - outline.box[0], box[1] - outline.box[1]];
  const points = outline.points.map((point) => inside({ x: point.x + x, y: point.y + y }, image));
  return outline.type === "box" ? { ...outline, box } : { ...outline, box: around(points), points };
}

/** One point elsewhere; unchanged where nothing would be left of it. */
export function vertexMoved(outline: Outline, index: number, to: Point, image: Size): Outline {
  const points = outline.points.map((point, other) => (other === index ? inside(to, image) : point));
  return again(outline, points, image);
}

/** A point between `index - 1` and `index`. */
export function vertexAdded(outline: Outline, index: number, at: Point): Outline {
  const points = [...outline.points.slice(0, index), at, ...outline.points.slice(index)];
  return { ...outline, points };
}

/** Without one point; unchanged where too few would be left. */
export const vertexRemoved = (outline: Outline, index: number, image: Size): Outline =>
  again(
    outline,
    outline.points.filter((_, other) => other !== index),
    image,
  );

function again(outline: Outline, points: readonly Point[], image: Size): Outline {
  return (outline.type !== "box" && through(outline.type, points, image)) || outline;
}

/** The point within `reach`, the nearest first. */
export function vertexAt(outline: Outline, point: Point, reach: number): number | null {
  const near = outline.points.map((vertex, index) => ({ index, far: distance(vertex, point) }));
  return near.filter(({ far }) => far <= reach).sort((a, b) => a.far - b.far)[0]?.index ?? null;
}

/** The middles of its edges, each with the index that a point set there would have. */
export function middles(outline: Outline): { index: number; at: Point }[] {
  if (outline.type !== "polygon" && outline.type !== "polyline") return [];
  return edges(outline).map(([a, b], index) => ({ index: index + 1, at: { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 } }));
}

/** Whether a click there means this shape; lines and points may be missed by `reach`. */
export function hits(outline: Outline, point: Point, reach: number): boolean {
  switch (outline.type) {
    case "box":
      return contains(outline.box, point, reach / 2);
    case "point":
      return outline.points.some((vertex) => distance(vertex, point) <= reach * 1.5);
    case "polyline":
      return nearEdge(outline, point, reach);
    case "polygon":
      return isWithin(outline.points, point) || nearEdge(outline, point, reach / 2);
  }
}

/** The size by which shapes under one another are told apart: the smallest is taken first. */
export const extentOf = (outline: Outline): number =>
  outline.type === "polygon"
    ? areaWithin(outline.points)
    : outline.type === "box"
      ? widthOf(outline.box) * heightOf(outline.box)
      : 0;

export const centreOf = (outline: Outline): Point => ({
  x: (outline.box[0] + outline.box[2]) / 2,
  y: (outline.box[1] + outline.box[3]) / 2,
});

/** In the middle of what is seen: where drawing by keyboard begins. */
export function inTheMiddle(type: Geometry, seen: Box, image: Size): Outline {
  const box = middleBox(seen, image);
  const [x1, y1, x2, y2] = box;
  const corners = [
    { x: x1, y: y1 },
    { x: x2, y: y1 },
    { x: x2, y: y2 },
    { x: x1, y: y2 },
  ];
  if (type === "box") return boxed(box);
  const points = type === "point" ? [centreOf(boxed(box))] : type === "polyline" ? [corners[0], corners[2]] : corners;
  return through(type, points as Point[], image) ?? boxed(box);
}

export const distance = (a: Point, b: Point): number => Math.hypot(a.x - b.x, a.y - b.y);

const round = (value: number): number => Math.round(value * 10) / 10;

const within = ({ x, y }: Point, image: Size): Point => ({
  x: Math.min(Math.max(x, 0), image.width),
  y: Math.min(Math.max(y, 0), image.height),
});

export const inside = ({ x, y }: Point, image: Size): Point => within({ x: round(x), y: round(y) }, image);

/** Points that follow one at the same place are one: a double click sets two. */
const distinct = (points: readonly Point[]): Point[] =>
  points.filter((point, index) => {
    const before = points[index - 1];
    return !before || before.x !== point.x || before.y !== point.y;
  });

/** The box around them. */
export function around(points: readonly Point[]): Box {
  const xs = points.map((point) => point.x);
  const ys = points.map((point) => point.y);
  return [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
}

function edges(outline: Outline): [Point, Point][] {
  const { points, type } = outline;
  const following = (index: number): Point | undefined =>
    points[index + 1] ?? (type === "polygon" ? points[0] : undefined);
  return points.flatMap((point, index) => {
    const next = following(index);
    return next ? [[point, next] as [Point, Point]] : [];
  });
}

const nearEdge = (outline: Outline, point: Point, reach: number): boolean =>
  edges(outline).some(([a, b]) => fromSegment(a, b, point) <= reach);

function fromSegment(a: Point, b: Point, point: Point): number {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const length = dx * dx + dy * dy;
  const along = length === 0 ? 0 : Math.min(Math.max(((point.x - a.x) * dx + (point.y - a.y) * dy) / length, 0), 1);
  return distance(point, { x: a.x + along * dx, y: a.y + along * dy });
}

/** The shoelace formula. */
function areaWithin(points: readonly Point[]): number {
  const doubled = points.reduce((sum, point, index) => {
    const next = points[(index + 1) % points.length] ?? point;
    return sum + point.x * next.y - next.x * point.y;
  }, 0);
  return Math.abs(doubled) / 2;
}

/** By the even-odd rule. */
function isWithin(points: readonly Point[], point: Point): boolean {
  let within = false;
  for (const [index, a] of points.entries()) {
    const b = points[(index + points.length - 1) % points.length] ?? a;
    const crosses = a.y > point.y !== b.y > point.y && point.x < ((b.x - a.x) * (point.y - a.y)) / (b.y - a.y) + a.x;
    if (crosses) within = !within;
  }
  return within;
}
