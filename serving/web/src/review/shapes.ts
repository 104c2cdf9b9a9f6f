/** What the reviewer edits: the model's proposal or somebody's answer, then whatever people make of it. */
import type { Detection, Label, ShapeBody } from "../api/types";
import { type Values, withDefaults } from "./attributes";
import type { Box, Size } from "./geometry";
import { clipped } from "./geometry";
import { type Outline, boxed, outlineOf, sameOutline } from "./outline";

export interface Link {
  readonly type: string;
  /** Id of the shape it leads to. */
  readonly to: string;
}

export interface Shape extends Outline {
  readonly id: string;
  readonly label: string;
  readonly attributes: Values;
  readonly links: readonly Link[];
  readonly group: string | null;
  readonly track: string | null;
  /** In clips: the index of its frame. */
  readonly frame: number | null;
  /** Of a key frame: from here to the next of its track the object is not to be seen. */
  readonly outside: boolean;
  /** What the model had proposed, or null for a shape that a person drew. */
  readonly proposed: Proposed | null;
}

export interface Proposed {
  readonly label: string;
  readonly score: number;
  readonly box: Box;
}

/** Of an image; frames of a clip or a camera may each have another size. */
export interface Sizes extends Size {
  readonly frames?: readonly (Size & { readonly index: number })[] | null;
}

export type Origin = "model" | "edited" | "drawn";

const BARE = { attributes: {}, links: [], group: null, track: null, frame: null, outside: false, proposed: null };

/** A shape with nothing but a label and a place. */
export const bare = (id: string, label: string, outline: Outline): Shape => ({ ...BARE, id, label, ...outline });

/** The detections as shapes, the most certain first. What lies outside the image is cut off. */
export function proposal(detections: readonly Detection[], image: Size, labels: readonly Label[] = []): Shape[] {
  const ordered = [...detections].sort((a, b) => b.score - a.score);
  return ordered.flatMap((detection, index) => {
    const box = clipped(detection.box, image);
    if (!box) return [];
    const { label, score } = detection;
    const shape = bare(`m${index}`, label, boxed(box));
    return [{ ...shape, attributes: withDefaults({}, label, labels), proposed: { label, score, box } }];
  });
}

/** Whether the shape is as the model said, changed by a person, or drawn by one. */
export function originOf(shape: Shape): Origin {
  if (!shape.proposed) return "drawn";
  const same = shape.label === shape.proposed.label && sameBox(shape.box, shape.proposed.box);
  return same ? "model" : "edited";
}

/** The model's score, while it still speaks of this label. */
export const scoreOf = (shape: Shape): number | null =>
  shape.proposed && shape.proposed.label === shape.label ? shape.proposed.score : null;

const sameBox = (a: Box, b: Box): boolean => a.every((value, index) => value === b[index]);

export const sameShapes = (a: readonly Shape[], b: readonly Shape[]): boolean =>
  a.length === b.length &&
  a.every((shape, index) => {
    const other = b[index];
    return other !== undefined && (shape === other || sameSaying(shape, other));
  });

/** Whether both say the same of the image, whatever their ids are. */
export const sameSaying = (a: Shape, b: Shape): boolean =>
  a.label === b.label &&
  sameOutline(a, b) &&
  a.frame === b.frame &&
  a.outside === b.outside &&
  JSON.stringify([a.attributes, a.links, a.group, a.track]) ===
    JSON.stringify([b.attributes, b.links, b.group, b.track]);

/** As the API takes them: what is not there is left out. */
export const bodies = (shapes: readonly Shape[]): ShapeBody[] => shapes.map(body);

function body(shape: Shape): ShapeBody {
  const { id, label, type, box, points, attributes, links, group, track, frame, outside } = shape;
  return {
    id,
    label,
    type,
    ...(type === "box" ? { box: [...box] } : { points: points.map(({ x, y }) => [x, y]) }),
    ...(Object.keys(attributes).length > 0 ? { attributes: mutable(attributes) } : {}),
    ...(links.length > 0 ? { links: links.map((link) => ({ ...link })) } : {}),
    ...(group === null ? {} : { group }),
    ...(track === null ? {} : { track }),
    ...(frame === null ? {} : { frame, keyframe: true }),
    ...(outside ? { outside } : {}),
  };
}

const mutable = (values: Values): NonNullable<ShapeBody["attributes"]> =>
  Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, typeof value === "object" ? [...value] : value]),
  );

/** What the service says, as shapes. Those without an id get one; those outside the image are left out. */
export function shapesFrom(given: readonly ShapeBody[], image: Sizes, prefix = "s"): Shape[] {
  const taken = new Set(given.flatMap((one) => one.id ?? []));
  const sizes = new Map(image.frames?.map((frame) => [frame.index, frame]));
  return given.flatMap((one, index) => {
    const size = sizes.get(one.frame ?? NaN) ?? image;
    const outline = outlineOf(one.type ?? "box", one.box ?? [], pointsOf(one), size);
    if (!outline || one.keyframe === false) return [];
    return [
      {
        ...bare(one.id ?? unused(`${prefix}${index}`, taken), one.label, outline),
        attributes: one.attributes ?? {},
        links: one.links ?? [],
        group: one.group ?? null,
        track: one.track ?? null,
        frame: one.frame ?? null,
        outside: one.outside ?? false,
      },
    ];
  });
}

/** What a function made of the shapes: those that were there before keep what the model had proposed. */
export function resulting(before: readonly Shape[], given: readonly ShapeBody[], image: Sizes): Shape[] {
  const known = new Map(before.map((shape) => [shape.id, shape.proposed]));
  return shapesFrom(given, image, "fn").map((shape) => ({ ...shape, proposed: known.get(shape.id) ?? null }));
}

const pointsOf = (one: ShapeBody) => (one.points ?? []).map(([x = 0, y = 0]) => ({ x, y }));

const unused = (name: string, taken: ReadonlySet<string>): string =>
  taken.has(name) ? unused(`${name}.`, taken) : name;

/** An id that no shape of the list has. */
export function freshId(shapes: readonly Shape[]): string {
  const numbers = shapes.map((shape) => (/^d\d+$/.test(shape.id) ? Number(shape.id.slice(1)) : 0));
  return `d${Math.max(0, ...numbers) + 1}`;
}

/** Copies beside `present`: under ids of their own where theirs are taken, with the links among them kept. */
export function copiesBeside(present: readonly Shape[], added: readonly Shape[]): Shape[] {
  const names = new Map<string, string>();
  const all = [...present];
  for (const shape of added) {
    const id = all.some((other) => other.id === shape.id) ? freshId(all) : shape.id;
    names.set(shape.id, id);
    all.push({ ...shape, id });
  }
  return all.slice(present.length).map((shape) => ({
    ...shape,
    links: shape.links.flatMap((link) => {
      const to = names.get(link.to);
      return to === undefined ? [] : [{ ...link, to }];
    }),
  }));
}

/** Without the shapes of these ids, and without links to them. */
export const withoutShapes = (shapes: readonly Shape[], ids: ReadonlySet<string>): Shape[] =>
  shapes.filter((shape) => !ids.has(shape.id)).map((shape) => unlinked(shape, (link) => ids.has(link.to)));

export function unlinked(shape: Shape, gone: (link: Link) => boolean): Shape {
  return shape.links.some(gone) ? { ...shape, links: shape.links.filter((link) => !gone(link)) } : shape;
}
