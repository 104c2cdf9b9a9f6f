/**
 * Shapes of a clip: each belongs to a frame. Shapes of one track are one object; between two of them the object is
 * where a straight line in time says.
 */
import type { Box } from "./geometry";
import type { Outline } from "./outline";
import type { Shape } from "./shapes";

/** What is seen on one frame: the shapes set there, and those of tracks that go on through it. */
export function onFrame(shapes: readonly Shape[], frame: number): { set: Shape[]; between: Shape[] } {
  const set = shapes.filter((shape) => shape.frame === frame);
  const here = new Set(set.flatMap((shape) => shape.track ?? []));
  const between = tracksOf(shapes)
    .filter(([track]) => !here.has(track))
    .flatMap(([, keys]) => interpolated(keys, frame) ?? []);
  return { set, between };
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

/** The object on a frame between two key frames, or null before the first, after the last, and on one of them. */
export function interpolated(keys: readonly Shape[], frame: number): Shape | null {
  const after = keys.findIndex((key) => (key.frame ?? 0) > frame);
  const [from, to] = [keys[after - 1], keys[after]];
  if (!from || !to || from.frame === null || to.frame === null || from.frame === frame) return null;
  const share = (frame - from.frame) / (to.frame - from.frame);
  return { ...from, ...blended(from, to, share), id: `${from.track}.${frame}`, frame, links: [], proposed: null };
}

/** Forms with unlike points cannot be blended: the earlier one holds until the next key frame. */
function blended(from: Outline, to: Outline, share: number): Outline {
  if (from.type !== to.type || from.points.length !== to.points.length) {
    return { type: from.type, box: from.box, points: from.points };
  }
  const at = (a: number, b: number | undefined): number => a + ((b ?? a) - a) * share;
  const box = from.box.map((edge, index) => at(edge, to.box[index])) as unknown as Box;
  const points = from.points.map((point, index) => ({
    x: at(point.x, to.points[index]?.x),
    y: at(point.y, to.points[index]?.y),
  }));
  return { type: from.type, box, points };
}

/** The object as it would be set on a frame: between key frames by the line, after the last as there. */
export function followed(shapes: readonly Shape[], track: string, frame: number): Shape | null {
  const keys = tracksOf(shapes).find(([name]) => name === track)?.[1] ?? [];
  if (keys.some((key) => key.frame === frame)) return null;
  const near = keys.filter((key) => (key.frame ?? 0) < frame).at(-1) ?? keys[0];
  if (!near) return null;
  return interpolated(keys, frame) ?? { ...near, id: `${track}.${frame}`, frame, links: [], proposed: null };
}

/** A name that no track has. */
export function freshTrack(shapes: readonly Shape[]): string {
  const numbers = shapes.map(({ track }) => (track && /^t\d+$/.test(track) ? Number(track.slice(1)) : 0));
  return `t${Math.max(0, ...numbers) + 1}`;
}
