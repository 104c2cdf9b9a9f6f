import { describe, expect, test } from "vitest";
import { dragged, isMeant, pressed } from "./gesture";
import { boxed, through } from "./outline";
import { type Shape, bare } from "./shapes";

const image = { width: 160, height: 120 };
const shape = (id: string, box: Shape["box"]): Shape => bare(id, "x", boxed(box));
const shapes = [shape("big", [10, 10, 110, 110]), shape("small", [40, 40, 60, 60])];
const press = (x: number, y: number, selected: string | null = null, drawing = false) =>
  pressed({ point: { x, y }, shapes, selected, drawing, reach: 3 });

test("a drag on empty image draws", () => {
  const gesture = dragged(press(120, 20), { x: 140, y: 5 }, image);
  expect(gesture).toMatchObject({ type: "draw", box: [120, 5, 140, 20] });
});

test("a drag on a box moves the smallest one there", () => {
  expect(press(50, 50)).toMatchObject({ type: "move", id: "small" });
  const gesture = dragged(press(50, 50), { x: 55, y: 48 }, image);
  expect(gesture).toMatchObject({ outline: { box: [45, 38, 65, 58] } });
});

test("the selected box is moved even below a smaller one, and a click goes on to the next", () => {
  expect(press(50, 50, "big")).toMatchObject({ type: "move", id: "big", next: "small" });
  expect(press(50, 50, "small")).toMatchObject({ type: "move", id: "small", next: "big" });
  expect(press(50, 50)).toMatchObject({ id: "small", next: null });
});

test("only the selected box has handles", () => {
  expect(press(110, 110, "big")).toMatchObject({ type: "resize", handle: "se" });
  expect(press(110, 110)).toMatchObject({ type: "move", id: "big" });
});

test("in draw mode a drag draws on top of boxes and handles", () => {
  expect(press(50, 50, "small", true)).toMatchObject({ type: "draw" });
  expect(press(110, 110, "big", true)).toMatchObject({ type: "draw" });
});

test("a slip of the hand is no box", () => {
  expect(isMeant([10, 10, 11, 40], 2)).toBe(false);
  expect(isMeant([10, 10, 13, 13], 2)).toBe(true);
});

describe("polygons, lines and points", () => {
  const triangle = through(
    "polygon",
    [
      { x: 10, y: 10 },
      { x: 90, y: 10 },
      { x: 10, y: 90 },
    ],
    image,
  );
  const dot = through("point", [{ x: 20, y: 20 }], image);
  if (!triangle || !dot) throw new Error("not drawn");
  const all = [bare("field", "x", triangle), bare("dot", "x", dot)];
  const at = (x: number, y: number, selected: string | null = null) =>
    pressed({ point: { x, y }, shapes: all, selected, drawing: false, reach: 3 });

  test("a polygon is taken inside it, not merely inside its box", () => {
    expect(at(40, 40)).toMatchObject({ type: "move", id: "field" });
    expect(at(80, 80)).toMatchObject({ type: "draw" });
  });

  test("a point within a polygon is reached before it", () => {
    expect(at(22, 21)).toMatchObject({ type: "move", id: "dot" });
  });

  test("a drag on a point of the selected polygon moves that point", () => {
    const gesture = dragged(at(89, 11, "field"), { x: 120, y: 30 }, image);
    expect(gesture).toMatchObject({ type: "vertex", index: 1, outline: { box: [10, 10, 120, 90] } });
  });

  test("a drag on the middle of an edge makes a point there", () => {
    const gesture = dragged(at(50, 10, "field"), { x: 50, y: 2 }, image);
    expect(gesture).toMatchObject({ type: "vertex", index: 1 });
    expect(gesture.type === "vertex" && gesture.outline.points).toHaveLength(4);
  });
});
