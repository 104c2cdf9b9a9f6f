/**
 * Boxes in image pixels: x1, y1, x2, y2 with x1 < x2 and y1 < y2.
 *
 * Every function answers a new box that lies inside the image and is at least MIN_SIDE wide and high.
 */
export type Box = readonly [x1: number, y1: number, x2: number, y2: number];

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** The corners and edges by which a box is held, as compass points. */
export type Handle = "nw" | "n" | "ne" | "e" | "se" | "s" | "sw" | "w";
export const HANDLES: readonly Handle[] = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];

export const MIN_SIDE = 1;

const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), Math.max(low, high));

/** Tenths of a pixel: finer is noise of the pointer. */
const round = (value: number): number => Math.round(value * 10) / 10;

export const widthOf = (box: Box): number => box[2] - box[0];
export const heightOf = (box: Box): number => box[3] - box[1];

/** The part of the box inside the image, or null where there is none. A box inside comes back unchanged. */
export function clipped(box: readonly number[], image: Size): Box | null {
  const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = box;
  const inside: Box = [Math.max(x1, 0), Math.max(y1, 0), Math.min(x2, image.width), Math.min(y2, image.height)];
  return inside.every(Number.isFinite) && widthOf(inside) > 0 && heightOf(inside) > 0 ? inside : null;
}

/** The same size elsewhere, stopped by the image's edges. */
export function moved(box: Box, dx: number, dy: number, image: Size): Box {
  const x1 = clamp(round(box[0] + dx), 0, image.width - widthOf(box));
  const y1 = clamp(round(box[1] + dy), 0, image.height - heightOf(box));
  return [x1, y1, x1 + widthOf(box), y1 + heightOf(box)];
}

/** One corner or edge pulled by (dx, dy); pulled past the opposite side the box turns over. */
export function pulled(box: Box, handle: Handle, dx: number, dy: number, image: Size): Box {
  const [x1, y1, x2, y2] = box;
  const left = handle.includes("w") ? x1 + dx : x1;
  const right = handle.includes("e") ? x2 + dx : x2;
  const top = handle.startsWith("n") ? y1 + dy : y1;
  const bottom = handle.startsWith("s") ? y2 + dy : y2;
  return spanning({ x: left, y: top }, { x: right, y: bottom }, image);
}

/** The box with these two opposite corners, in whichever order. */
export function spanning(a: Point, b: Point, image: Size): Box {
  const [x1, x2] = span(a.x, b.x, image.width);
  const [y1, y2] = span(a.y, b.y, image.height);
  return [x1, y1, x2, y2];
}

function span(a: number, b: number, limit: number): [number, number] {
  const low = round(clamp(Math.min(a, b), 0, limit - MIN_SIDE));
  const high = round(clamp(Math.max(a, b), low + MIN_SIDE, limit));
  return [low, high];
}

/** The right edge moved by dx and the lower edge by dy: what Alt+arrows do. */
export function stretched(box: Box, dx: number, dy: number, image: Size): Box {
  const x2 = clamp(round(box[2] + dx), box[0] + MIN_SIDE, image.width);
  const y2 = clamp(round(box[3] + dy), box[1] + MIN_SIDE, image.height);
  return [box[0], box[1], x2, y2];
}

/** Every edge moved outwards by `by` pixels (inwards where negative), about the centre. */
export function grown(box: Box, by: number, image: Size): Box {
  const dx = Math.max(by, (MIN_SIDE - widthOf(box)) / 2);
  const dy = Math.max(by, (MIN_SIDE - heightOf(box)) / 2);
  return spanning({ x: box[0] - dx, y: box[1] - dy }, { x: box[2] + dx, y: box[3] + dy }, image);
}

/** A box in the middle of what is seen, a quarter of its shorter side: where drawing by keyboard begins. */
export function middleBox(seen: Box, image: Size): Box {
  const side = Math.max(Math.min(widthOf(seen), heightOf(seen)) / 4, MIN_SIDE);
  const x = (seen[0] + seen[2]) / 2;
  const y = (seen[1] + seen[3]) / 2;
  return spanning(
    { x: Math.round(x - side / 2), y: Math.round(y - side / 2) },
    { x: Math.round(x + side / 2), y: Math.round(y + side / 2) },
    image,
  );
}

export const contains = (box: Box, point: Point, margin = 0): boolean =>
  point.x >= box[0] - margin && point.x <= box[2] + margin && point.y >= box[1] - margin && point.y <= box[3] + margin;

/** Where a handle lies. */
export function handlePoint(box: Box, handle: Handle): Point {
  const x = handle.includes("w") ? box[0] : handle.includes("e") ? box[2] : (box[0] + box[2]) / 2;
  const y = handle.startsWith("n") ? box[1] : handle.startsWith("s") ? box[3] : (box[1] + box[3]) / 2;
  return { x, y };
}

/**
 * The handle within `reach` of the point, the nearest first; edges count along their whole length.
 * On a box smaller than its handles the corners outside win, so that its inside still moves it.
 */
export function handleAt(box: Box, point: Point, reach: number): Handle | null {
  if (!contains(box, point, reach)) return null;
  const inner = Math.min(reach, widthOf(box) / 4, heightOf(box) / 4);
  const near = (value: number, edge: number, outwards: number): boolean => {
    const beyond = (value - edge) * outwards;
    return beyond >= 0 ? beyond <= reach : -beyond <= inner;
  };
  const vertical = near(point.y, box[1], -1) ? "n" : near(point.y, box[3], 1) ? "s" : "";
  const horizontal = near(point.x, box[0], -1) ? "w" : near(point.x, box[2], 1) ? "e" : "";
  return ((vertical + horizontal) as Handle | "") || null;
}
