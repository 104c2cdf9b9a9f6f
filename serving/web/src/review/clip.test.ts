import { expect, test } from "vitest";
import type { ShapeBody } from "../api/types";
import cases from "./clip.cases.json";
import { followed, freshTrack, interpolated, objectBeside, onFrame, positionsOf, saidOf } from "./clip";
import { boxed } from "./outline";
import { type Shape, bare, shapesFrom } from "./shapes";

const key = (frame: number, x: number, track: string | null = "t1"): Shape => ({
  ...bare(`k${frame}`, "car", boxed([x, 0, x + 10, 10])),
  frame,
  track,
});
const keys = [key(0, 0), key(10, 100)];
const EVEN = positionsOf(Array.from({ length: 40 }, (_, index) => ({ index, time: null })));
const LEFT = [key(0, 0), { ...key(10, 100), outside: true }, key(20, 200)];

test.each(cases)("as the service has it: $rule", ({ times, shapes, seen }) => {
  const positions = positionsOf(times.map((time, index) => ({ index, time })));
  const given = shapesFrom(shapes as ShapeBody[], { width: 640, height: 480 });
  const found = times.map((_, frame) => saidOf(given, frame, positions).sort((a, b) => a.box[0] - b.box[0]));
  expect(found.map((on) => on.map(({ track, box }) => ({ track: track ?? "", box: [...box] })))).toEqual(seen);
});

test("between key frames an object is where a straight line says", () => {
  expect(interpolated(keys, 5, EVEN)).toMatchObject({ box: [50, 0, 60, 10], frame: 5, track: "t1" });
  expect(interpolated([...keys, key(12, 0)], 11, EVEN)).toMatchObject({ box: [50, 0, 60, 10] });
});

test("outside its key frames, and on them, nothing is made up", () => {
  expect([0, 10, 11].map((frame) => interpolated(keys, frame, EVEN))).toEqual([null, null, null]);
});

test("a frame shows what is set on it and what goes on through it", () => {
  const shapes = [...keys, key(5, 7, null)];
  const { set, between } = onFrame(shapes, 5, EVEN);
  expect([set.map(({ id }) => id), between.map(({ box }) => box[0])]).toEqual([["k5"], [50]]);
  expect(onFrame(shapes, 10, EVEN).between).toEqual([]);
});

test("a followed object is set where it would be seen, after its last key frame where that is", () => {
  expect(followed(keys, "t1", 5, EVEN)).toMatchObject({ box: [50, 0, 60, 10], frame: 5 });
  expect(followed(keys, "t1", 30, EVEN)).toMatchObject({ box: [100, 0, 110, 10], frame: 30, track: "t1" });
  expect(followed(keys, "t1", 10, EVEN)).toBeNull();
  expect(followed(keys, "gone", 5, EVEN)).toBeNull();
});

test("a new track has a name of its own", () => {
  expect([freshTrack([]), freshTrack([key(0, 0), key(0, 0, "t7"), key(0, 0, "car")])]).toEqual(["t1", "t8"]);
});

test("a key frame that is outside is there to be mended, but says nothing of its frame", () => {
  expect(onFrame(LEFT, 10, EVEN).set.map(({ id }) => id)).toEqual(["k10"]);
  expect(saidOf(LEFT, 10, EVEN)).toEqual([]);
});

test("an object that is set again after it was outside is to be seen, on its way to the next key frame", () => {
  expect(followed(LEFT, "t1", 15, EVEN)).toMatchObject({ box: [150, 0, 160, 10], outside: false });
  expect(followed(LEFT.slice(0, 2), "t1", 15, EVEN)).toMatchObject({ box: [100, 0, 110, 10], outside: false });
});

test("of somebody's track all key frames are taken, under a name that none of mine has", () => {
  const [shape] = saidOf(LEFT, 5, EVEN);
  if (!shape) throw new Error("nothing there");
  const taken = (mine: Shape[]) => objectBeside(mine, [...LEFT, key(3, 0, "t9")], shape);
  expect(taken([]).map(({ track, frame, outside }) => [track, frame, outside])).toEqual([
    ["t1", 0, false],
    ["t1", 10, true],
    ["t1", 20, false],
  ]);
  expect(new Set(taken([key(7, 0)]).map(({ track }) => track))).toEqual(new Set(["t2"]));
  expect(objectBeside([], LEFT, key(4, 0, null))).toEqual([key(4, 0, null)]);
});
