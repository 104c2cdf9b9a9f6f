/**
 * Shapes of a clip: each belongs to a frame. Shapes of one track are one object; between two of them the object is
 * where a straight line in time says, unless the earlier one is outside: then it is not to be seen.
 *
 * What the service makes of an answer (loop/domain/items/tracks.py) is what is shown here: clip.cases.json is for both.
 */
import type { Frame } from "../api/types";
import type { Box } from "./geometry";
import { type Outline, around } from "./outline";
import type { Shape } from "./shapes";

/** Where each frame lies, by index, on the axis along which tracks are interpolated. */
export type Positions = ReadonlyMap<number, number>;

/** By its time where all frames have one, else by its index. */
export function positionsOf(frames: readonly Pick<Frame, "index" | "time">[]): Positions {
  const timed = frames.every(({ time }) => time !== null);
  return new Map(frames.map(({ index, time }) => [index, timed && time !== null ? time : index]));
}

/** What is on one frame: the shapes set there, and those of tracks that go on through it. */
export function onFrame(
  shapes: readonly Shape[],
  frame: number,
  positions: Positions,
): { set: Shape[]; between: Shape[] } {
  const set = shapes.filter((shape) => shape.frame === frame);
  const here = new Set(set.flatMap((shape) => shape.track ?? []));
  const between = tracksOf(shapes)
    .filter(([track]) => !here.has(track))
    .flatMap(([, keys]) => interpolated(keys, frame, positions) ?? []);
  return { set, between };
}

/** What an answer says of one frame: without what is outside there. */
export function saidOf(shapes: readonly Shape[], frame: number, positions: Positions): Shape[] {
  const { set, between } = onFrame(shapes, frame, positions);
  return [...set.filter(({ outside }) => !outside), ...between];
}

/** The shapes of each track in the order of their frames. */
export function tracksOf(shapes: readonly Shape[]): [track: string, keys: Shape[]][] {
  const tracks = new Map<string, Shape[]>();
  for (const shape of shapes) {
    if (shape.track === null || shape.frame === null) continue;
    tracks.set(shape.track, [...(tracks.get(shape.track) ?? []), shape]);
  }
  return [...tracks].map(([track, keys]) => [track, keys.sort((a, b) => (a.frame ?? 0) - (b.frame ?? 0))]);
}

/** The object on a frame between two key frames, or null before the first, after the last, on one of them, and behind
 *  one that is outside. */
export function interpolated(keys: readonly Shape[], frame: number, positions: Positions): Shape | null {
  const [from, to] = neighbours(keys, frame);
  return from && to && !from.outside ? placedBetween(from, to, frame, positions) : null;
}

/** The key frames before and after a frame that is none. */
function neighbours(keys: readonly Shape[], frame: number): [Shape | undefined, Shape | undefined] {
  const before = keys.filter((key) => key.frame !== null && key.frame <= frame).at(-1);
  const after = keys.find((key) => key.frame !== null && key.frame > frame);
  return before?.frame === frame ? [undefined, undefined] : [before, after];
}

function placedBetween(from: Shape, to: Shape, frame: number, positions: Positions): Shape | null {
  const [begin, at, end] = [from.frame, frame, to.frame].map((index) => positions.get(index ?? NaN));
  if (begin === undefined || at === undefined || end === undefined) return null;
  return here(from, frame, blended(from, to, (at - begin) / (end - begin)));
}

const here = (shape: Shape, frame: number, outline: Outline = shape): Shape => {
  const { type, box, points } = outline;
  const bare = { links: [], outside: false, proposed: null };
  return { ...shape, ...bare, type, box, points, id: `${shape.track}.${frame}`, frame };
};

/** Forms with unlike points cannot be blended: the earlier one holds until the next key frame. */
function blended(from: Outline, to: Outline, share: number): Outline {
  if (from.type !== to.type || from.points.length !== to.points.length) return from;
  const at = (a: number, b = a): number => Math.min(Math.max(a + (b - a) * share, Math.min(a, b)), Math.max(a, b));
  if (from.points.length === 0) {
    return { ...from, box: from.box.map((edge, index) => at(edge, to.box[index])) as unknown as Box };
  }
  const points = from.points.map((point, index) => ({
    x: at(point.x, to.points[index]?.x),
    y: at(point.y, to.points[index]?.y),
  }));
  return { ...from, box: around(points), points };
}

/** The object as it would be set on a frame, where it is to be seen: between key frames by the line, before the first
 *  and after the last as there. */
export function followed(shapes: readonly Shape[], track: string, frame: number, positions: Positions): Shape | null {
  const keys = tracksOf(shapes).find(([name]) => name === track)?.[1] ?? [];
  if (keys.some((key) => key.frame === frame)) return null;
  const [from, to] = neighbours(keys, frame);
  const near = from ?? to;
  if (!near) return null;
  return (from && to && placedBetween(from, to, frame, positions)) ?? here(near, frame);
}

/** What a shape of somebody else's answer stands for, to be had beside one's own: of a track all key frames, under a
 *  name that no other object has. */
export function objectBeside(present: readonly Shape[], theirs: readonly Shape[], shape: Shape): Shape[] {
  const { track, frame } = shape;
  if (track === null || frame === null) return [shape];
  const name = present.some((other) => other.track === track) ? freshTrack(present) : track;
  return theirs.filter((other) => other.track === track).map((key) => ({ ...key, track: name }));
}

/** A name that no track has. */
export function freshTrack(shapes: readonly Shape[]): string {
  const numbers = shapes.map(({ track }) => (track && /^t\d+$/.test(track) ? Number(track.slice(1)) : 0));
  return `t${Math.max(0, ...numbers) + 1}`;
}
