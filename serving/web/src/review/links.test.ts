import { expect, test } from "vitest";
import type { LinkType } from "../api/types";
import { CHOOSING, drawing, linking, turned } from "./hand";
import { demandOf, hasRoom, targetsOf } from "./links";
import { boxed } from "./outline";
import { type Link, type Shape, bare } from "./shapes";

const type: LinkType = { name: "picks", from: ["person"], to: ["thing"], min_out: 1, max_out: 2, max_in: 1 };
const other: LinkType = { name: "sees", from: ["person"], to: ["thing", "person"] };
const shape = (id: string, label: string, ...links: Link[]): Shape => ({
  ...bare(id, label, boxed([0, 0, 9, 9])),
  links,
});
const picks = (to: string): Link => ({ type: "picks", to });
const ids = (shapes: readonly Shape[]) => shapes.map(({ id }) => id);

test("a link leads to shapes of a fitting label that have room and are not linked yet", () => {
  const shapes = [
    shape("p", "person", picks("a")),
    shape("q", "person", picks("b")),
    shape("a", "thing"),
    shape("b", "thing"),
    shape("c", "thing"),
  ];
  const [p] = shapes;
  if (!p) throw new Error();
  expect(ids(targetsOf(type, p, shapes))).toEqual(["c"]);
  expect(ids(targetsOf(other, p, shapes))).toEqual(["q", "a", "b", "c"]);
});

test("no more links leave a shape than the recipe allows", () => {
  expect(hasRoom(type, shape("p", "person", picks("a")))).toBe(true);
  expect(hasRoom(type, shape("p", "person", picks("a"), picks("b")))).toBe(false);
  expect(demandOf(type, shape("p", "person"))).toEqual({ made: 0, least: 1 });
  expect(demandOf({ ...other, required: true }, shape("p", "person", picks("a")))).toEqual({ made: 0, least: 1 });
});

const shapes = [shape("p", "person"), shape("a", "thing"), shape("b", "thing")];
const person = shapes[0] as Shape;

test("linking begins with the first type that is possible; asked again it is the next", () => {
  const first = linking(CHOOSING, [type, other], person, shapes);
  expect(first).toMatchObject({ type: "picks", candidate: "a" });
  const second = first && linking(first, [type, other], person, shapes);
  expect(second).toMatchObject({ type: "sees" });
  expect(second && linking(second, [type, other], person, shapes)).toMatchObject({ type: "picks" });
  expect(linking(CHOOSING, [type, other], person, shapes, "sees")).toMatchObject({ type: "sees" });
});

test("where nothing can be linked it does not begin", () => {
  expect(linking(CHOOSING, [type], shapes[1] as Shape, shapes)).toBeNull();
  expect(linking(CHOOSING, [type], person, [person])).toBeNull();
});

test("keys go round the shapes that Enter would link to", () => {
  const hand = { tool: "link" as const, source: "p", type: "picks", candidate: "b" };
  expect(turned(hand, shapes.slice(1), 1)).toMatchObject({ candidate: "a" });
  expect(turned(hand, shapes.slice(1), -1)).toMatchObject({ candidate: "a" });
  expect(turned(hand, [], 1)).toMatchObject({ candidate: null });
});

test("polygons and lines are drawn point by point, the rest in one go", () => {
  expect(drawing("polygon")).toEqual({ tool: "draw", path: { type: "polygon", points: [] } });
  expect(drawing("point")).toEqual({ tool: "draw", path: null });
});
