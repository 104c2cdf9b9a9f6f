/** What the pointer and Enter are doing: choosing shapes, drawing one, or linking two. */
import type { Geometry, LinkType } from "../api/types";
import { type Linking, hasRoom, targetsOf, typesFrom } from "./links";
import { type Path, begunPath } from "./path";
import type { Shape } from "./shapes";

export type Hand =
  | { readonly tool: "choose" }
  /** `path`: what there is of a polygon or line; null for what one drag or click draws. */
  | { readonly tool: "draw"; readonly path: Path | null }
  | ({ readonly tool: "link"; readonly candidate: string | null } & Linking);

export const CHOOSING: Hand = { tool: "choose" };

export const drawing = (geometry: Geometry): Hand => ({
  tool: "draw",
  path: geometry === "polygon" || geometry === "polyline" ? begunPath(geometry) : null,
});

/**
 * Linking from the shape by the named type, or by the first that is possible; asked again, by the next one.
 * Null where nothing can be linked.
 */
export function linking(
  hand: Hand,
  types: readonly LinkType[],
  source: Shape,
  shapes: readonly Shape[],
  named: string | null = null,
): Hand | null {
  const possible = typesFrom(types, source).filter(
    (type) => hasRoom(type, source) && targetsOf(type, source, shapes).length > 0,
  );
  const before =
    hand.tool === "link" && hand.source === source.id ? possible.findIndex(({ name }) => name === hand.type) : -1;
  const type = possible.find(({ name }) => name === named) ?? possible[(before + 1) % possible.length];
  if (!type) return null;
  const candidate = targetsOf(type, source, shapes)[0]?.id ?? null;
  return { tool: "link", source: source.id, type: type.name, candidate };
}

/** Another shape is what Enter would link to. */
export function turned(hand: Hand & { tool: "link" }, targets: readonly Shape[], by: 1 | -1): Hand {
  if (targets.length === 0) return { ...hand, candidate: null };
  const index = targets.findIndex(({ id }) => id === hand.candidate);
  const next = targets[(index + by + targets.length) % targets.length];
  return { ...hand, candidate: next?.id ?? null };
}
