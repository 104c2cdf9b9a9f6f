/** Where the name tags of shapes lie on the canvas, so that one does not hide another. CSS px. */
import type { Box, Point, Size } from "./geometry";

export const TAG_HEIGHT = 18;
const EDGE = 2; // px between a tag and the canvas's edge
const LOWER_ROWS = 4; // how far down inside its box a tag may go

export interface TagWish {
  /** Of the shape, on the canvas. */
  readonly box: Box;
  /** Of the tag. */
  readonly width: number;
}

/** The upper left corner of every tag, in the order given; the first of them choose first. A tag lies above its box's
 *  left or right corner, else inside, below or in a lower row; where all that is taken, where it hides least. */
export function tagPlaces(wishes: readonly TagWish[], canvas: Size): Point[] {
  const taken: Box[] = [];
  return wishes.map((wish) => {
    let best: { at: Point; hidden: number } | null = null;
    for (const at of candidates(wish, canvas)) {
      const frame: Box = [at.x, at.y, at.x + wish.width, at.y + TAG_HEIGHT];
      const hidden = taken.reduce((sum, other) => sum + shared(frame, other), 0);
      if (best === null || hidden < best.hidden) best = { at, hidden };
      if (hidden === 0) break;
    }
    const { x, y } = best?.at ?? { x: EDGE, y: EDGE };
    taken.push([x, y, x + wish.width, y + TAG_HEIGHT]);
    return { x, y };
  });
}

function candidates({ box, width }: TagWish, canvas: Size): Point[] {
  const [left, top, right, bottom] = box;
  const gap = bottom === top ? 8 : 1; // clear of a point's dot
  const above = top - TAG_HEIGHT - gap;
  const [first, last] = [left - 1, right - width + 1];
  const rows = Array.from({ length: LOWER_ROWS }, (_, row) => top + 2 + row * (TAG_HEIGHT + 1));
  const wanted = [
    ...(above >= EDGE ? [above] : []).flatMap((y) => [first, last].map((x) => ({ x, y }))),
    ...[rows[0] ?? top].flatMap((y) => [first, last].map((x) => ({ x, y }))),
    { x: first, y: bottom + gap },
    { x: last, y: bottom + gap },
    ...rows.slice(1).flatMap((y) => [first, last].map((x) => ({ x, y }))),
    { x: right + 2, y: top },
    { x: left - width - 2, y: top },
  ];
  const within = (value: number, most: number): number => Math.min(Math.max(value, EDGE), Math.max(most - EDGE, EDGE));
  return wanted.map(({ x, y }) => ({
    x: within(x, canvas.width - width),
    y: within(y, canvas.height - TAG_HEIGHT),
  }));
}

/** The area that both cover. */
const shared = (a: Box, b: Box): number =>
  Math.max(Math.min(a[2], b[2]) - Math.max(a[0], b[0]), 0) * Math.max(Math.min(a[3], b[3]) - Math.max(a[1], b[1]), 0);
