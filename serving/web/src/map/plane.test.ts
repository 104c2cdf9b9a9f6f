import { expect, test } from "vitest";
import { enclosed } from "./lasso";
import { gridOf, nearest } from "./grid";
import { pinched } from "./pinch";
import { type Plane, placeOf, planeOf } from "./plane";
import { toImage } from "../review/viewport";

/** Numbers in 0..1 that are the same each time. */
function dice(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 48271) % 2147483647) / 2147483647;
}

function scattered(count: number, seed = 1): Plane {
  const roll = dice(seed);
  const xs = Float32Array.from({ length: count }, () => roll() * 8 - 3);
  const ys = Float32Array.from({ length: count }, () => roll() * 5 + 100);
  return planeOf(xs, ys);
}

const none = (): boolean => false;

test("the plane keeps shapes, has y downwards, and holds every point", () => {
  const plane = planeOf(Float32Array.of(0, 4, 0), Float32Array.of(0, 0, 2));
  expect(plane.size).toEqual({ width: 1000, height: 500 });
  expect([0, 1, 2].map((row) => placeOf(plane, row))).toEqual([
    { x: 0, y: 500 },
    { x: 1000, y: 500 },
    { x: 0, y: 0 },
  ]);
});

test.each([
  ["no point", []],
  ["one point", [7]],
  ["points in one place", [7, 7, 7]],
])("%s makes a plane that can be looked at", (_, values) => {
  const plane = planeOf(Float32Array.from(values), Float32Array.from(values));
  expect(plane.size.width).toBeGreaterThan(0);
  expect([...plane.xs, ...plane.ys].every((value) => value === plane.size.width / 2)).toBe(true);
});

test("what is under the pointer is the nearest of all points that are not left out", () => {
  const plane = scattered(500);
  const grid = gridOf(plane);
  const roll = dice(5);
  const odd = (row: number): boolean => row % 2 === 1;
  for (let round = 0; round < 300; round += 1) {
    const at = { x: roll() * 1200 - 100, y: roll() * 800 - 100 };
    const far = (row: number): number => Math.hypot(placeOf(plane, row).x - at.x, placeOf(plane, row).y - at.y);
    const expected = Array.from({ length: 500 }, (_, row) => row)
      .filter((row) => !odd(row) && far(row) <= 40)
      .sort((a, b) => far(a) - far(b))[0];
    expect(nearest(grid, at, 40, odd)).toBe(expected ?? null);
  }
});

test("a line around points takes those inside, also where it bends in, and none that are left out", () => {
  const plane: Plane = {
    xs: Float32Array.of(10, 50, 90, 50, 200),
    ys: Float32Array.of(10, 10, 10, 80, 10),
    size: { width: 200, height: 100 },
  };
  // A "U" upside down: its two legs hold points 0 and 2, the gap between them point 3, its back point 1.
  const corners = [0, 0, 100, 0, 100, 100, 80, 100, 80, 40, 20, 40, 20, 100, 0, 100];
  const polygon = Array.from({ length: corners.length / 2 }, (_, at) => ({
    x: corners[2 * at] ?? 0,
    y: corners[2 * at + 1] ?? 0,
  }));
  expect([...enclosed(plane, polygon, none)]).toEqual([0, 1, 2]);
  expect([...enclosed(plane, polygon, (row) => row === 1)]).toEqual([0, 2]);
  expect([...enclosed(plane, polygon.slice(0, 2), none)]).toEqual([]);
});

test("what is under each finger stays there while they move", () => {
  const canvas = { width: 800, height: 600 };
  const plane = { width: 1000, height: 700 };
  const view = { scale: 1, x: -100, y: -50 };
  const before = [
    { x: 300, y: 300 },
    { x: 500, y: 300 },
  ] as const;
  const after = [
    { x: 220, y: 340 },
    { x: 620, y: 340 },
  ] as const;
  const next = pinched(view, before, after, plane, canvas);
  expect(next.scale).toBeCloseTo(2);
  for (const finger of [0, 1] as const) {
    expect(toImage(next, after[finger]).x).toBeCloseTo(toImage(view, before[finger]).x);
    expect(toImage(next, after[finger]).y).toBeCloseTo(toImage(view, before[finger]).y);
  }
});
