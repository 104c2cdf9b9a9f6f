import { expect, test } from "vitest";
import type { Label } from "../api/types";
import { type Edit, type Editor, chosenOf, edited, opened, selectedOf, shapesOf } from "./editor";
import { boxed, through } from "./outline";
import { bare, originOf, proposal, scoreOf } from "./shapes";

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
  const editor = after(
    { type: "add", label: "1", outline: boxed([0, 0, 5, 5]) },
    { type: "add", label: "2", outline: boxed([0, 0, 6, 6]) },
  );
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
  const nudge = (x: number): Edit => ({ type: "reshape", id: "m0", outline: boxed([x, 20, x + 40, 80]), tag: "move" });
  const run = after(nudge(61), nudge(62), nudge(63), { type: "undo" });
  expect(shapesOf(run)[0]?.box).toEqual([60, 20, 100, 80]);
  const twoRuns = after(nudge(61), { type: "select", id: "m0" }, nudge(62), { type: "undo" });
  expect(shapesOf(twoRuns)[0]?.box).toEqual([61, 20, 101, 80]);
});

test("undo takes the selection of a box away with the box", () => {
  const editor = after({ type: "add", label: "1", outline: boxed([0, 0, 5, 5]) }, { type: "undo" });
  expect(editor.selected).toBeNull();
  expect(labels(edited(editor, { type: "redo" }))).toEqual(["3", "7", "1"]);
});

test("what changes nothing leaves no step to undo", () => {
  const editor = after(
    { type: "relabel", id: "m0", label: "3" },
    { type: "reshape", id: "m0", outline: boxed([60, 20, 100, 80]) },
    { type: "remove", id: "gone" },
  );
  expect(editor.shapes.past).toEqual([]);
});

const labels2: Label[] = [
  {
    name: "car",
    color: "#ffffff",
    key: "c",
    attributes: [
      { name: "parked", type: "boolean", default: false },
      { name: "colour", type: "select", options: ["red", "white"] },
    ],
  },
  { name: "van", color: "#ffffff", key: "v", attributes: [{ name: "colour", type: "select", options: ["white"] }] },
];
const drawnCar = (): Editor =>
  edited(opened(image, [], labels2), { type: "add", label: "car", outline: boxed([0, 0, 9, 9]) });
const said = (editor: Editor) => shapesOf(editor)[0]?.attributes;

test("a drawn shape has the defaults of its label", () => {
  expect(said(drawnCar())).toEqual({ parked: false });
});

test("typing a text is one undo; taking a value away leaves none", () => {
  const say = (value: string | null): Edit => ({
    type: "say",
    id: "d1",
    attribute: "colour",
    value,
    tag: "say colour",
  });
  const typed = [say("r"), say("re"), say("red")].reduce(edited, drawnCar());
  expect(said(typed)).toEqual({ parked: false, colour: "red" });
  expect(said(edited(typed, { type: "undo" }))).toEqual({ parked: false });
  expect(said(edited(typed, say(null)))).toEqual({ parked: false });
});

test("relabelled, a shape keeps what the new label has too, with a value that it allows", () => {
  const car = (colour: string): Editor =>
    edited(drawnCar(), { type: "say", id: "d1", attribute: "colour", value: colour });
  const van: Edit = { type: "relabel", id: "d1", label: "van" };
  expect(said(edited(car("white"), van))).toEqual({ colour: "white" });
  expect(said(edited(car("red"), van))).toEqual({});
});

test("a link is made once, and goes with the shape it leads to", () => {
  const link = { type: "on", to: "m1" };
  const linked = after({ type: "link", id: "m0", link }, { type: "link", id: "m0", link });
  expect(shapesOf(linked)[0]?.links).toEqual([link]);
  const alone = edited(linked, { type: "remove", id: "m1" });
  expect(shapesOf(alone)[0]?.links).toEqual([]);
  expect(shapesOf(edited(alone, { type: "undo" }))[0]?.links).toEqual([link]);
  expect(shapesOf(edited(linked, { type: "unlink", id: "m0", link }))[0]?.links).toEqual([]);
});

test("several are selected by marking, in their order; marked again, one is left out", () => {
  const mark = (id: string): Edit => ({ type: "mark", id });
  expect(chosenOf(after(mark("m0"), mark("m1")))).toEqual(["m0", "m1"]);
  expect(chosenOf(after(mark("m0"), mark("m1"), mark("m1")))).toEqual(["m0"]);
  expect(chosenOf(after(mark("m0"), mark("m1"), mark("m0")))).toEqual(["m1"]);
  expect(chosenOf(after(mark("m0"), mark("m1"), { type: "select", id: "m1" }))).toEqual(["m1"]);
  expect(chosenOf(after(mark("m0"), mark("m1"), { type: "remove", id: "m1" }))).toEqual(["m0"]);
});

test("what is taken of another's answer gets ids of its own, and keeps its links among what is taken", () => {
  const source = {
    ...bare("m0", "7", boxed([1, 1, 9, 9])),
    links: [
      { type: "on", to: "p" },
      { type: "on", to: "gone" },
    ],
  };
  const target = bare("p", "3", boxed([2, 2, 8, 8]));
  const taken = after({ type: "take", shapes: [source, target] });
  expect(shapesOf(taken).map(({ id }) => id)).toEqual(["m0", "m1", "d1", "p"]);
  expect(shapesOf(taken)[2]?.links).toEqual([{ type: "on", to: "p" }]);
  expect(taken.selected).toBe("d1");
});

test("all shapes at once is one step, and a selection that is gone is none", () => {
  const replaced = after(
    { type: "select", id: "m0" },
    { type: "replace", shapes: [bare("n", "1", boxed([1, 1, 9, 9]))] },
  );
  expect([labels(replaced), replaced.selected]).toEqual([["1"], null]);
  expect(labels(edited(replaced, { type: "undo" }))).toEqual(["3", "7"]);
});

test("a chosen point that undo takes away is not chosen any more", () => {
  const corners = [1, 2, 3].map((step) => ({ x: step * 10, y: (step % 2) * 10 }));
  const three = through("polyline", corners, image);
  const two = through("polyline", corners.slice(0, 2), image);
  if (!three || !two) throw new Error("not drawn");
  const added = after({ type: "add", label: "1", outline: two }, { type: "reshape", id: "d1", outline: three });
  const chosen = edited(added, { type: "vertex", index: 2 });
  expect(edited(chosen, { type: "undo" }).vertex).toBeNull();
});

test("outside is a step of its own, which is undone", () => {
  const left = after({ type: "outside", id: "m0", outside: true });
  expect(shapesOf(left).map(({ outside }) => outside)).toEqual([true, false]);
  expect(edited(left, { type: "outside", id: "m0", outside: true })).toBe(left);
  expect(shapesOf(edited(left, { type: "undo" })).some(({ outside }) => outside)).toBe(false);
});

test("of shapes taken for several frames that on the frame shown is selected, or none", () => {
  const taken = [4, 6].map((frame) => ({ ...bare(`k${frame}`, "7", boxed([0, 0, 5, 5])), track: "t1", frame }));
  expect(after({ type: "take", shapes: taken, frame: 6 }).selected).toBe("k6");
  expect(after({ type: "take", shapes: taken, frame: 5 }).selected).toBeNull();
});

test("an object of a clip has one label in all its frames, as one step", () => {
  const keys = [4, 6].map((frame) => ({ ...bare(`k${frame}`, "7", boxed([0, 0, 5, 5])), track: "t1", frame }));
  const relabelled = after({ type: "take", shapes: keys }, { type: "relabel", id: "k6", label: "9" });
  expect(labels(relabelled)).toEqual(["3", "7", "9", "9"]);
  expect(labels(edited(relabelled, { type: "undo" }))).toEqual(["3", "7", "7", "7"]);
});
