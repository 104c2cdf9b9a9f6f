/** Points as pixels: one pass over typed arrays into the pixels of a canvas, quick with a hundred thousand. */
import type { Viewport } from "../review/viewport";
import { type Colouring, rgbOf } from "./colouring";
import type { Plane } from "./plane";

/** The pixels of a canvas, row by row, each 0xaabbggrr as little-endian machines (all that run browsers) keep RGBA. */
export interface Pixels {
  readonly data: Uint32Array;
  readonly width: number;
  readonly height: number;
}

export interface Scene {
  readonly plane: Plane;
  readonly codes: Uint8Array;
  /** By code; 0 where the group is hidden. */
  readonly colours: Uint32Array;
  /** The same, for points that are not selected while others are. */
  readonly faint: Uint32Array;
  /** Rows in the order in which they are painted; null: as they come. */
  readonly order: Uint32Array | null;
  /** 1 for each selected row; null: none is. */
  readonly selected: Uint8Array | null;
}

/** The pixels that a point covers: dx, dy from its own, and how much of each, 0 to 256. */
interface Disc {
  readonly dx: Int8Array;
  readonly dy: Int8Array;
  readonly cover: Uint16Array;
  readonly edge: number;
}

export const GROUND = "#0a0c0f";
const CODES = 256;
const WHOLE = 256; // of a pixel
const FAINT = 0.22; // of a colour, over the ground
const DENSEST = 0.12; // of the canvas that all points together may cover when all are seen
const [SMALLEST, LARGEST] = [0.8, 5]; // CSS px, a point's radius

export function sceneOf(
  plane: Plane,
  colouring: Colouring,
  hidden: ReadonlySet<number>,
  selected: Int32Array | null,
): Scene {
  const packed = (part: number): Uint32Array =>
    Uint32Array.from({ length: CODES }, (_, code) => {
      const colour = colouring.colours[code];
      return colour === undefined || hidden.has(code) ? 0 : pack(mixed(rgbOf(colour), rgbOf(GROUND), part));
    });
  return {
    plane,
    codes: colouring.codes,
    colours: packed(1),
    faint: packed(FAINT),
    order: colouring.ranked ? byCode(colouring.codes) : null,
    selected: selected && selected.length > 0 ? marked(selected, plane.xs.length) : null,
  };
}

/** Of a point, in the canvas's own pixels. `closer`: how far it is zoomed in, 1 where all of the plane is seen. */
export function radiusOf(count: number, pixels: Pixels, closer: number, ratio: number): number {
  const room = Math.sqrt((DENSEST * pixels.width * pixels.height) / Math.max(count, 1));
  return Math.min(Math.max(0.4 * room * Math.max(closer, 1), SMALLEST * ratio), LARGEST * ratio);
}

/** view: from the plane to the canvas's own pixels. What is selected lies over what is not. */
export function paint(pixels: Pixels, scene: Scene, view: Viewport, radius: number): void {
  const { data, width, height } = pixels;
  data.fill(pack(rgbOf(GROUND)));
  const disc = discOf(radius);
  const { selected } = scene;
  if (selected) {
    pass(data, width, height, scene, scene.faint, view, disc, (row) => selected[row] === 0);
    pass(data, width, height, scene, scene.colours, view, disc, (row) => selected[row] === 1);
  } else pass(data, width, height, scene, scene.colours, view, disc, null);
}

function pass(
  data: Uint32Array,
  width: number,
  height: number,
  { plane: { xs, ys }, codes, order }: Scene,
  colours: Uint32Array,
  view: Viewport,
  { dx, dy, cover, edge }: Disc,
  counts: ((row: number) => boolean) | null,
): void {
  for (let place = 0; place < xs.length; place += 1) {
    const row = order ? (order[place] as number) : place;
    const colour = colours[codes[row] as number] as number;
    if (colour === 0 || (counts && !counts(row))) continue;
    const x = Math.round(view.x + view.scale * (xs[row] as number));
    const y = Math.round(view.y + view.scale * (ys[row] as number));
    if (x < -edge || y < -edge || x >= width + edge || y >= height + edge) continue;
    const clipped = x < edge || y < edge || x >= width - edge || y >= height - edge;
    for (let k = 0; k < cover.length; k += 1) {
      const across = x + (dx[k] as number);
      const down = y + (dy[k] as number);
      if (clipped && (across < 0 || down < 0 || across >= width || down >= height)) continue;
      const at = down * width + across;
      const part = cover[k] as number;
      data[at] = part === WHOLE ? colour : over(colour, data[at] as number, part);
    }
  }
}

/** A colour over another, opaque both. */
function over(colour: number, ground: number, part: number): number {
  const rest = WHOLE - part;
  const redAndBlue = ((colour & 0xff00ff) * part + (ground & 0xff00ff) * rest) >>> 8;
  const green = ((colour & 0x00ff00) * part + (ground & 0x00ff00) * rest) >>> 8;
  return (0xff000000 | (redAndBlue & 0xff00ff) | (green & 0x00ff00)) >>> 0;
}

function discOf(radius: number): Disc {
  const edge = Math.ceil(radius);
  const found: [number, number, number][] = [];
  for (let y = -edge; y <= edge; y += 1) {
    for (let x = -edge; x <= edge; x += 1) {
      const covered = Math.min(Math.max(radius + 0.5 - Math.hypot(x, y), 0), 1);
      if (covered > 0.05) found.push([x, y, Math.round(covered * WHOLE)]);
    }
  }
  return {
    dx: Int8Array.from(found, ([x]) => x),
    dy: Int8Array.from(found, ([, y]) => y),
    cover: Uint16Array.from(found, ([, , covered]) => covered),
    edge,
  };
}

/** Rows by their code, lowest first. */
function byCode(codes: Uint8Array): Uint32Array {
  const next = new Uint32Array(CODES + 1);
  for (const code of codes) next[code + 1] = (next[code + 1] as number) + 1;
  for (let code = 0; code < CODES; code += 1) next[code + 1] = (next[code + 1] as number) + (next[code] as number);
  const order = new Uint32Array(codes.length);
  for (let row = 0; row < codes.length; row += 1) {
    const code = codes[row] as number;
    order[next[code] as number] = row;
    next[code] = (next[code] as number) + 1;
  }
  return order;
}

function marked(rows: Int32Array, count: number): Uint8Array {
  const mask = new Uint8Array(count);
  for (const row of rows) mask[row] = 1;
  return mask;
}

type Rgb = readonly [red: number, green: number, blue: number];

const mixed = (colour: Rgb, ground: Rgb, part: number): Rgb => [
  Math.round(ground[0] + part * (colour[0] - ground[0])),
  Math.round(ground[1] + part * (colour[1] - ground[1])),
  Math.round(ground[2] + part * (colour[2] - ground[2])),
];

const pack = ([red, green, blue]: Rgb): number => (0xff000000 | (blue << 16) | (green << 8) | red) >>> 0;
