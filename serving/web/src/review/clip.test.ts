import { expect, test } from "vitest";
import { followed, freshTrack, interpolated, onFrame } from "./clip";
import { boxed, through } from "./outline";
import { type Shape, bare } from "./shapes";

const key = (frame: number, x: number, track: string | null = "t1"): Shape => ({
  ...bare(`k${frame}`, "car", boxed([x, 0, x + 10, 10])),
  frame,
  track,
});
const keys = [key(0, 0), key(10, 100)];

test("between key frames an object is where a straight line says", () => {
  expect(interpolated(keys, 5)).toMatchObject({ box: [50, 0, 60, 10], frame: 5, track: "t1" });
  expect(interpolated([...keys, key(12, 0)], 11)).toMatchObject({ box: [50, 0, 60, 10] });
});

test("outside its key frames, and on them, nothing is made up", () => {
  expect([interpolated(keys, 0), interpolated(keys, 10), interpolated(keys, 11)]).toEqual([null, null, null]);
});

test("forms with another number of points hold until the next key frame", () => {
  const image = { width: 100, height: 100 };
  const line = through(
    "polyline",
    [
      { x: 0, y: 0 },
      { x: 9, y: 9 },
    ],
    image,
  );
  const longer = through(
    "polyline",
    [
      { x: 50, y: 0 },
      { x: 59, y: 9 },
      { x: 70, y: 9 },
    ],
    image,
  );
  if (!line || !longer) throw new Error("not drawn");
  const road = [
    { ...key(0, 0), ...line },
    { ...key(4, 0), ...longer },
  ];
  expect(interpolated(road, 2)?.points).toEqual(line.points);
});

test("a frame shows what is set on it and what goes on through it", () => {
  const shapes = [...keys, key(5, 7, null)];
  const { set, between } = onFrame(shapes, 5);
  expect([set.map(({ id }) => id), between.map(({ box }) => box[0])]).toEqual([["k5"], [50]]);
  expect(onFrame(shapes, 10).between).toEqual([]);
});

test("a followed object is set where it would be seen, after its last key frame where that is", () => {
  expect(followed(keys, "t1", 5)).toMatchObject({ box: [50, 0, 60, 10], frame: 5 });
  expect(followed(keys, "t1", 30)).toMatchObject({ box: [100, 0, 110, 10], frame: 30, track: "t1" });
  expect(followed(keys, "t1", 10)).toBeNull();
  expect(followed(keys, "gone", 5)).toBeNull();
});

test("a new track has a name of its own", () => {
  expect([freshTrack([]), freshTrack([key(0, 0), key(0, 0, "t7"), key(0, 0, "car")])]).toEqual(["t1", "t8"]);
});
