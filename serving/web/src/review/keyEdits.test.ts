import { expect, test } from "vitest";
import { type Editor, chosenOf, edited, opened, selectedOf, shapesOf } from "./editor";
import { keyEdits } from "./keyEdits";
import type { Command } from "./keymap";
import { boxed, through } from "./outline";
import { bare } from "./shapes";

const image = { width: 100, height: 100 };
const corners = [0, 40, 40].map((x, index) => ({ x, y: index === 2 ? 40 : 0 }));
const triangle = through("polygon", corners, image);
if (!triangle) throw new Error("not drawn");
const shapes = [
  bare("field", "x", triangle),
  bare("box", "x", boxed([10, 10, 20, 20])),
  bare("third", "x", boxed([1, 1, 9, 9])),
];

const after = (selected: string | null, ...commands: Command[]): Editor =>
  commands.reduce<Editor>(
    (editor, command) => (keyEdits(command, editor, shapesOf(editor)) ?? []).reduce(edited, editor),
    edited(opened(image, shapes), { type: "select", id: selected }),
  );
const points = (editor: Editor) => selectedOf(editor)?.points.map(({ x, y }) => [x, y]);
const nudge: Command = { type: "nudge", dx: 5, dy: 0 };
const vertex = (by: 1 | -1): Command => ({ type: "vertex", by });

test("arrows move the shape, or the point that was chosen", () => {
  expect(points(after("field", nudge))).toEqual([
    [5, 0],
    [45, 0],
    [45, 40],
  ]);
  expect(points(after("field", vertex(1), vertex(1), nudge))).toEqual([
    [0, 0],
    [45, 0],
    [40, 40],
  ]);
});

test("points are gone through in both directions, round", () => {
  expect(after("field", vertex(-1)).vertex).toBe(2);
  expect(after("field", vertex(1), vertex(-1)).vertex).toBe(2);
  expect(after("box", vertex(1)).vertex).toBeNull();
});

test("a point is added after the chosen one, and is chosen then; Delete takes it away, and only it", () => {
  const added = after("field", vertex(1), { type: "vertex-add" });
  expect([points(added)?.[1], added.vertex]).toEqual([[20, 0], 1]);
  const gone = after("field", vertex(1), { type: "vertex-add" }, { type: "remove" });
  expect(points(gone)).toEqual(points(after("field")));
  expect(shapesOf(gone)).toHaveLength(3);
});

test("only boxes have edges to stretch and sides to grow", () => {
  const stretch: Command = { type: "stretch", dx: 4, dy: 0 };
  expect(selectedOf(after("box", stretch))?.box).toEqual([10, 10, 24, 20]);
  expect(selectedOf(after("box", { type: "grow", by: 1 }))?.box).toEqual([9, 9, 21, 21]);
  expect(after("field", stretch, { type: "grow", by: 5 }).shapes.past).toEqual([]);
});

test("one after the other is selected as well, each once", () => {
  const mark: Command = { type: "mark" };
  expect(chosenOf(after("box", mark))).toEqual(["box", "third"]);
  expect(chosenOf(after("box", mark, mark, mark, mark))).toEqual(["box", "third", "field"]);
});

test("with nothing selected nothing happens; what is no edit is left to others", () => {
  expect(shapesOf(after(null, nudge, { type: "remove" }, { type: "vertex-add" }))).toEqual(shapes);
  expect(keyEdits({ type: "submit" }, after(null), shapes)).toBeNull();
});
