/** What the reviewer edits: the model's proposal, then whatever people made of it. */
import type { Detection, ShapeBody } from "../api/types";
import { type Box, type Size, clipped } from "./geometry";

export interface Shape {
  readonly id: string;
  readonly label: string;
  readonly box: Box;
  /** What the model had proposed, or null for a shape that a person drew. */
  readonly proposed: Proposed | null;
}

export interface Proposed {
  readonly label: string;
  readonly score: number;
  readonly box: Box;
}

export type Origin = "model" | "edited" | "drawn";

/** The detections as shapes, the most certain first. What lies outside the image is cut off. */
export function proposal(detections: readonly Detection[], image: Size): Shape[] {
  const ordered = [...detections].sort((a, b) => b.score - a.score);
  return ordered.flatMap((detection, index) => {
    const box = clipped(detection.box, image);
    if (!box) return [];
    const { label, score } = detection;
    return [{ id: `m${index}`, label, box, proposed: { label, score, box } }];
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

export const sameBox = (a: Box, b: Box): boolean => a.every((value, index) => value === b[index]);

export const sameShapes = (a: readonly Shape[], b: readonly Shape[]): boolean =>
  a.length === b.length &&
  a.every((shape, index) => {
    const other = b[index];
    return other !== undefined && shape.label === other.label && sameBox(shape.box, other.box);
  });

/** As the API takes them. */
export const bodies = (shapes: readonly Shape[]): ShapeBody[] =>
  shapes.map(({ label, box }) => ({ type: "box", label, box: [...box] }));

/** An id that no shape of the list has. */
export function freshId(shapes: readonly Shape[]): string {
  const numbers = shapes.map((shape) => (shape.id.startsWith("d") ? Number(shape.id.slice(1)) : 0));
  return `d${Math.max(0, ...numbers.filter(Number.isFinite)) + 1}`;
}
