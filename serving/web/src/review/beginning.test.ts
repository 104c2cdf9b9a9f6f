import { expect, test } from "vitest";
import type { Task } from "../api/types";
import { RECIPE, taskNamed } from "../testing/queueService";
import { Recipes, answersOf, beginning } from "./beginning";
import { bodies, copiesBeside, resulting, sameShapes, shapesFrom } from "./shapes";

const box = (label: string, id?: string) => ({ label, box: [10, 10, 40, 50], ...(id ? { id } : {}) });
const answer = (...labels: string[]) => ({ shapes: labels.map((label) => box(label)), note: "" });
const task = (change: Partial<Task>): Task => ({ ...taskNamed("t1"), ...change });
const labels = (of: Task): string[] => beginning(of, RECIPE.labels).map(({ label }) => label);

test("ordinary work begins with the model's proposal", () => {
  expect(labels(task({}))).toEqual(["3", "7"]);
});

test("a decision between answers begins with what was merged of them, or with nothing", () => {
  const answers = [answer("1"), answer("3")];
  const merged = { shapes: [box("1", "g1")], disputed: ["g1"] };
  const open = task({ stage: "adjudicate", answers });
  expect(labels(open)).toEqual([]);
  expect(beginning({ ...open, merged }, RECIPE.labels).map(({ id }) => id)).toEqual(["g1"]);
  expect(answersOf(open).map(({ number, shapes }) => [number, shapes.length])).toEqual([
    [1, 1],
    [2, 1],
  ]);
});

test("the check of an answer begins with it, and offers none to take", () => {
  const checked = task({ stage: "qa", answers: [answer("1", "1")] });
  expect([labels(checked), answersOf(checked)]).toEqual([["1", "1"], []]);
});

test("what was returned begins with what was answered", () => {
  expect(labels(task({ returned: { shapes: [box("1")], issues: [], note: "" } }))).toEqual(["1"]);
});

test("a clip begins with the tracks that are proposed for it", () => {
  const tracks = [0, 5].map((frame) => ({ ...box("7"), frame, track: "t1", keyframe: true }));
  const shapes = beginning(task({ frames: [], tracks }), RECIPE.labels);
  expect(shapes.map(({ frame, track }) => [frame, track])).toEqual([
    [0, "t1"],
    [5, "t1"],
  ]);
});

test("what is read and sent again says the same, in all its parts", () => {
  const given = [
    {
      id: "a",
      type: "box" as const,
      label: "1",
      box: [1, 2, 30, 40],
      attributes: { sure: true, tags: ["x"] },
      links: [{ type: "on", to: "b" }],
      group: "g",
      track: "t",
    },
    {
      id: "b",
      type: "polygon" as const,
      label: "3",
      points: [
        [0, 0],
        [20, 0],
        [0, 10],
      ],
    },
    { id: "c", type: "point" as const, label: "7", points: [[5, 6]], frame: 4, keyframe: true },
    { id: "d", type: "box" as const, label: "7", box: [1, 2, 3, 4], track: "t1", frame: 5, keyframe: true, outside: true },
  ];
  expect(bodies(shapesFrom(given, { width: 160, height: 120 }))).toEqual(given);
});

test("what nobody touches is sent again to the last digit, and in frames of every size", () => {
  const size = { width: 160, height: 120, frames: [{ index: 4, width: 640, height: 480 }] };
  const line = { id: "a", type: "polyline" as const, label: "1", points: [[0.123, 5], [0.123, 5], [600.25, 400]] };
  const given = [
    { ...line, frame: 4, keyframe: true },
    { ...box("3", "b"), type: "box" as const, box: [300, 300, 400, 400], frame: 4, keyframe: true },
  ];
  expect(bodies(shapesFrom(given, size))).toEqual(given);
});

test("shapes without an id get one that no other has", () => {
  const shapes = shapesFrom([box("1"), box("3", "s0"), box("7")], { width: 160, height: 120 });
  expect(new Set(shapes.map(({ id }) => id)).size).toBe(3);
  expect(copiesBeside(shapes, shapes).map(({ id }) => id)).toEqual(["d1", "d2", "d3"]);
});

test("another value, link or group, or being outside, is another answer", () => {
  const [shape] = shapesFrom([box("1", "a")], { width: 160, height: 120 });
  if (!shape) throw new Error();
  expect(sameShapes([shape], [{ ...shape }])).toBe(true);
  expect(sameShapes([shape], [{ ...shape, attributes: { sure: true } }])).toBe(false);
  expect(sameShapes([shape], [{ ...shape, group: "g" }])).toBe(false);
  expect(sameShapes([shape], [{ ...shape, outside: true }])).toBe(false);
});

test("a function's result keeps what the model had said of the shapes that it left", () => {
  const before = beginning(task({}), RECIPE.labels);
  const after = resulting(before, [...bodies(before).slice(1), box("1")], task({}));
  expect(after.map(({ proposed }) => proposed?.score ?? null)).toEqual([0.4, null]);
});

test("a recipe is fetched once for each version, and an unknown one is the newest", async () => {
  const asked: number[] = [];
  const recipes = new Recipes(RECIPE, (version) => {
    asked.push(version);
    return Promise.resolve({ ...RECIPE, version });
  });
  await recipes.have([1, 3, 3]);
  await recipes.have([3]);
  expect(asked).toEqual([3]);
  expect([recipes.of(1).version, recipes.of(3).version, recipes.of(9).version]).toEqual([1, 3, 3]);
});
