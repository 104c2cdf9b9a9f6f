import { describe, expect, test } from "vitest";
import { type Box, clipped, grown, handleAt, middleBox, moved, pulled, spanning, stretched } from "./geometry";

const image = { width: 160, height: 120 };

describe("a box never leaves the image", () => {
  test.each<[string, Box, Box]>([
    ["moved past the right", moved([100, 10, 140, 50], 500, 0, image), [120, 10, 160, 50]],
    ["moved past the top left", moved([100, 10, 140, 50], -500, -500, image), [0, 0, 40, 40]],
    ["pulled past the corner", pulled([100, 10, 140, 50], "se", 500, 500, image), [100, 10, 160, 120]],
    ["stretched past the edge", stretched([100, 10, 140, 50], 50, 500, image), [100, 10, 160, 120]],
    ["grown past all edges", grown([100, 10, 140, 50], 500, image), [0, 0, 160, 120]],
    ["drawn from outside", spanning({ x: -20, y: -20 }, { x: 30, y: 40 }, image), [0, 0, 30, 40]],
  ])("%s", (_, box, expected) => {
    expect(box).toEqual(expected);
  });
});

describe("a box never vanishes", () => {
  test.each<[string, Box]>([
    ["stretched by more than its size", stretched([10, 10, 20, 20], -50, -50, image)],
    ["shrunk by more than its size", grown([10, 10, 20, 20], -50, image)],
    ["drawn as a point", spanning({ x: 5, y: 5 }, { x: 5, y: 5 }, image)],
    ["drawn as a point in the last corner", spanning({ x: 160, y: 120 }, { x: 160, y: 120 }, image)],
  ])("%s", (_, [x1, y1, x2, y2]) => {
    expect(x2 - x1).toBeGreaterThanOrEqual(1);
    expect(y2 - y1).toBeGreaterThanOrEqual(1);
    expect([x1 >= 0, y1 >= 0, x2 <= 160, y2 <= 120]).toEqual([true, true, true, true]);
  });
});

test("moving keeps the size, also against an edge", () => {
  const box = moved([10.3, 10.7, 52.8, 31.1], -999, 3, image);
  expect(box[2] - box[0]).toBeCloseTo(42.5);
  expect(box[3] - box[1]).toBeCloseTo(20.4);
});

test("pulled past the opposite side the box turns over", () => {
  expect(pulled([50, 50, 80, 80], "w", 60, 0, image)).toEqual([80, 50, 110, 80]);
});

test("shrinking keeps the centre", () => {
  expect(grown([10, 10, 30, 50], -2, image)).toEqual([12, 12, 28, 48]);
});

test("a detection is cut at the image's edge, and none is made of what lies outside", () => {
  expect(clipped([-0.4, 5, 200, 20], image)).toEqual([0, 5, 160, 20]);
  expect(clipped([170, 5, 200, 20], image)).toBeNull();
  expect(clipped([10, 10, 10, 40], image)).toBeNull();
  expect(clipped([10, Number.NaN, 20, 40], image)).toBeNull();
});

test("a box by keyboard begins in the middle of what is seen", () => {
  expect(middleBox([40, 20, 120, 100], image)).toEqual([70, 50, 90, 70]);
});
describe("handles", () => {
  const box: Box = [20, 20, 100, 80];

  test.each([
    [{ x: 19, y: 21 }, "nw"],
    [{ x: 60, y: 18 }, "n"],
    [{ x: 101, y: 79 }, "se"],
    [{ x: 22, y: 50 }, "w"],
    [{ x: 60, y: 50 }, null],
    [{ x: 10, y: 50 }, null],
  ])("at %o: %s", (point, handle) => {
    expect(handleAt(box, point, 4)).toBe(handle);
  });

  test("a box smaller than its handles can still be moved by its middle", () => {
    expect(handleAt([20, 20, 24, 24], { x: 22, y: 22 }, 6)).toBeNull();
  });
});
