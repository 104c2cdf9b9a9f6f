/** Links from one shape to another, as the recipe allows them. */
import type { LinkType } from "../api/types";
import type { Shape } from "./shapes";

/** Links of one type that are still to be made from a shape: where they may lead. */
export interface Linking {
  readonly source: string;
  readonly type: string;
}

/** The types that may lead from the shape, whether or not one more is allowed. */
export const typesFrom = (types: readonly LinkType[], shape: Shape): LinkType[] =>
  types.filter((type) => type.from.includes(shape.label));

/** Whether one more link of the type may lead from the shape. */
export const hasRoom = (type: LinkType, shape: Shape): boolean =>
  type.max_out == null || count(shape, type.name) < type.max_out;

/** The shapes that a new link of the type may lead to: of a fitting label, not linked yet, and with room. */
export function targetsOf(type: LinkType, source: Shape, shapes: readonly Shape[]): Shape[] {
  const arriving = (target: Shape): number =>
    shapes.filter((shape) => shape.links.some((link) => link.type === type.name && link.to === target.id)).length;
  return shapes.filter(
    (shape) =>
      shape.id !== source.id &&
      type.to.includes(shape.label) &&
      shape.frame === source.frame &&
      !source.links.some((link) => link.type === type.name && link.to === shape.id) &&
      (type.max_in == null || arriving(shape) < type.max_in),
  );
}

/** "1 of at least 2", for people: how many there are of how many that the recipe asks for. */
export function demandOf(type: LinkType, shape: Shape): { made: number; least: number } {
  return { made: count(shape, type.name), least: Math.max(type.min_out ?? 0, type.required ? 1 : 0) };
}

const count = (shape: Shape, type: string): number => shape.links.filter((link) => link.type === type).length;
