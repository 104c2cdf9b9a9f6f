import { expect, test } from "vitest";
import { dragged, isMeant, pressed } from "./gesture";
import type { Shape } from "./shapes";

const image = { width: 160, height: 120 };
const shape = (id: string, box: Shape["box"]): Shape => ({ id, label: "x", box, proposed: null });
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
  expect(gesture).toMatchObject({ box: [45, 38, 65, 58] });
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
