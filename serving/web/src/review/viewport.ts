/** How image pixels lie on the screen: screen = offset + scale · image, in CSS pixels of the canvas. */
import type { Box, Point, Size } from "./geometry";

export interface Viewport {
  readonly scale: number;
  readonly x: number;
  readonly y: number;
}

const PADDING = 28; // CSS px around a fitted image, room for the tags above the uppermost boxes
const MAX_SCALE = 64;
const KEPT_IN_SIGHT = 48; // CSS px of the image that panning cannot push out of the canvas

export const toScreen = (view: Viewport, point: Point): Point => ({
  x: view.x + view.scale * point.x,
  y: view.y + view.scale * point.y,
});

export const toImage = (view: Viewport, point: Point): Point => ({
  x: (point.x - view.x) / view.scale,
  y: (point.y - view.y) / view.scale,
});

export const boxOnScreen = (view: Viewport, box: Box): Box => [
  view.x + view.scale * box[0],
  view.y + view.scale * box[1],
  view.x + view.scale * box[2],
  view.y + view.scale * box[3],
];

/** The whole image, as large as the canvas lets it be, in the middle. */
export function fitted(image: Size, canvas: Size): Viewport {
  const room = (side: number): number => Math.max(side - 2 * PADDING, side / 2, 1);
  const scale = Math.min(room(canvas.width) / image.width, room(canvas.height) / image.height, MAX_SCALE);
  return { scale, x: (canvas.width - scale * image.width) / 2, y: (canvas.height - scale * image.height) / 2 };
}

/** Zoomed by `factor` with the image point under `anchor` (CSS px) staying where it is. */
export function zoomed(view: Viewport, factor: number, anchor: Point, image: Size, canvas: Size): Viewport {
  const smallest = Math.min(fitted(image, canvas).scale / 4, 1);
  const scale = Math.min(Math.max(view.scale * factor, smallest), MAX_SCALE);
  const ratio = scale / view.scale;
  return kept(
    { scale, x: anchor.x - (anchor.x - view.x) * ratio, y: anchor.y - (anchor.y - view.y) * ratio },
    image,
    canvas,
  );
}

export const panned = (view: Viewport, dx: number, dy: number, image: Size, canvas: Size): Viewport =>
  kept({ ...view, x: view.x + dx, y: view.y + dy }, image, canvas);

/** The part of the image that is on the canvas. */
export function seen(view: Viewport, image: Size, canvas: Size): Box {
  const a = toImage(view, { x: 0, y: 0 });
  const b = toImage(view, { x: canvas.width, y: canvas.height });
  return [Math.max(a.x, 0), Math.max(a.y, 0), Math.min(b.x, image.width), Math.min(b.y, image.height)];
}

/** Panned just far enough that the box can be seen: for the selection moved by keys. */
export function showing(view: Viewport, box: Box, image: Size, canvas: Size): Viewport {
  const [x1, y1, x2, y2] = boxOnScreen(view, box);
  const dx = nudge(x1, x2, canvas.width);
  const dy = nudge(y1, y2, canvas.height);
  return dx === 0 && dy === 0 ? view : panned(view, dx, dy, image, canvas);
}

function nudge(low: number, high: number, limit: number): number {
  if (high - low > limit) return 0;
  return low < 0 ? -low + PADDING / 2 : high > limit ? limit - high - PADDING / 2 : 0;
}

function kept(view: Viewport, image: Size, canvas: Size): Viewport {
  const hold = (offset: number, side: number, limit: number): number => {
    const margin = Math.min(KEPT_IN_SIGHT, side / 2, limit / 2);
    return Math.min(Math.max(offset, margin - side), limit - margin);
  };
  return {
    scale: view.scale,
    x: hold(view.x, view.scale * image.width, canvas.width),
    y: hold(view.y, view.scale * image.height, canvas.height),
  };
}
