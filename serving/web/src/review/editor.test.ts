import { expect, test } from "vitest";
import { type Edit, type Editor, edited, opened, selectedOf, shapesOf } from "./editor";
import { originOf, proposal, scoreOf } from "./shapes";

const image = { width: 160, height: 120 };
const start = (): Editor =>
  opened(
    image,
    proposal(
      [
        { label: "7", score: 0.4, box: [10, 10, 40, 50] },
        { label: "3", score: 0.9, box: [60, 20, 100, 80] },
      ],
      image,
    ),
  );
const after = (...edits: Edit[]): Editor => edits.reduce(edited, start());
const labels = (editor: Editor): string[] => shapesOf(editor).map((shape) => shape.label);

test("the proposal lists the most certain detection first", () => {
  expect(labels(start())).toEqual(["3", "7"]);
});

test("a drawn box is selected, has no score, and gets an id of its own", () => {
  const editor = after({ type: "add", label: "1", box: [0, 0, 5, 5] }, { type: "add", label: "2", box: [0, 0, 6, 6] });
  expect(labels(editor)).toEqual(["3", "7", "1", "2"]);
  const drawn = selectedOf(editor);
  expect(drawn && [drawn.label, originOf(drawn), scoreOf(drawn)]).toEqual(["2", "drawn", null]);
  expect(new Set(shapesOf(editor).map((shape) => shape.id)).size).toBe(4);
});

test("a relabelled detection loses the score, which spoke of another label; labelled back it has it again", () => {
  const relabelled = after({ type: "relabel", id: "m0", label: "8" });
  expect(shapesOf(relabelled).map((shape) => [shape.label, originOf(shape), scoreOf(shape)])[0]).toEqual([
    "8",
    "edited",
    null,
  ]);
  const back = edited(relabelled, { type: "relabel", id: "m0", label: "3" });
  expect(shapesOf(back).map((shape) => [originOf(shape), scoreOf(shape)])[0]).toEqual(["model", 0.9]);
});

test("removing selects the following box, then the last, then none", () => {
  const once = after({ type: "cycle", by: 1 }, { type: "remove", id: "m0" });
  expect(once.selected).toBe("m1");
  expect(edited(once, { type: "remove", id: "m1" }).selected).toBeNull();
});

test("cycling goes round in both directions, and begins at either end", () => {
  expect(after({ type: "cycle", by: 1 }).selected).toBe("m0");
  expect(after({ type: "cycle", by: -1 }).selected).toBe("m1");
  expect(after({ type: "cycle", by: 1 }, { type: "cycle", by: 1 }, { type: "cycle", by: 1 }).selected).toBe("m0");
});

test("a run of key presses on one box is one undo; selecting in between ends the run", () => {
  const nudge = (x: number): Edit => ({ type: "reshape", id: "m0", box: [x, 20, x + 40, 80], tag: "move" });
  const run = after(nudge(61), nudge(62), nudge(63), { type: "undo" });
  expect(shapesOf(run)[0]?.box).toEqual([60, 20, 100, 80]);
  const twoRuns = after(nudge(61), { type: "select", id: "m0" }, nudge(62), { type: "undo" });
  expect(shapesOf(twoRuns)[0]?.box).toEqual([61, 20, 101, 80]);
});

test("undo takes the selection of a box away with the box", () => {
  const editor = after({ type: "add", label: "1", box: [0, 0, 5, 5] }, { type: "undo" });
  expect(editor.selected).toBeNull();
  expect(labels(edited(editor, { type: "redo" }))).toEqual(["3", "7", "1"]);
});

test("what changes nothing leaves no step to undo", () => {
  const editor = after(
    { type: "relabel", id: "m0", label: "3" },
    { type: "reshape", id: "m0", box: [60, 20, 100, 80] },
    { type: "remove", id: "gone" },
  );
  expect(editor.shapes.past).toEqual([]);
});
