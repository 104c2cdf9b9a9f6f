import { describe, expect, test } from "vitest";
import {
  boxed,
  hits,
  inTheMiddle,
  middles,
  moved,
  outlineOf,
  through,
  vertexAdded,
  vertexMoved,
  vertexRemoved,
} from "./outline";

const image = { width: 100, height: 80 };
const at = (x: number, y: number) => ({ x, y });
const drawn = (type: "polygon" | "polyline" | "point", ...points: [number, number][]) => {
  const outline = through(
    type,
    points.map(([x, y]) => at(x, y)),
    image,
  );
  if (!outline) throw new Error("nothing drawn");
  return outline;
};
const triangle = drawn("polygon", [10, 10], [60, 10], [10, 60]);

describe("what makes a form", () => {
  test("a polygon needs three places and an area, a line two", () => {
    expect(through("polygon", [at(1, 1), at(5, 5), at(1, 1)], image)).toBeNull();
    expect(through("polygon", [at(1, 1), at(5, 5), at(9, 9)], image)).toBeNull();
    expect(through("polyline", [at(1, 1), at(1, 1)], image)).toBeNull();
    expect(through("polyline", [at(1, 1), at(5, 5)], image)).not.toBeNull();
  });

  test("the second click of a double click is no point of its own", () => {
    expect(drawn("polyline", [1, 1], [5, 5], [5, 5]).points).toHaveLength(2);
  });

  test("its box is that around its points, which lie inside the image", () => {
    expect(drawn("polyline", [-5, 10], [120, 70]).box).toEqual([0, 10, 100, 70]);
  });

  test("what the service says outside the image is none; a point is kept", () => {
    expect(outlineOf("box", [200, 0, 220, 10], [], image)).toBeNull();
    expect(outlineOf("point", [7, 8, 7, 8], [at(7, 8)], image)).toEqual({
      type: "point",
      box: [7, 8, 7, 8],
      points: [at(7, 8)],
    });
  });
});

describe("editing", () => {
  test("a moved polygon keeps its form and stops at the image's edge", () => {
    const far = moved(triangle, 500, 0, image);
    expect(far.box).toEqual([50, 10, 100, 60]);
    expect(far.points).toEqual([at(50, 10), at(100, 10), at(50, 60)]);
  });

  test("a point can be moved and added, and its box follows", () => {
    expect(vertexMoved(triangle, 1, at(90, 20), image).box).toEqual([10, 10, 90, 60]);
    const added = vertexAdded(triangle, 1, at(30, 0));
    expect(vertexMoved(added, 1, at(30, 0), image).box).toEqual([10, 0, 60, 60]);
  });

  test("the last points that make a form cannot be taken away", () => {
    expect(vertexRemoved(triangle, 0, image)).toBe(triangle);
    const square = drawn("polygon", [0, 0], [10, 0], [10, 10], [0, 10]);
    expect(vertexRemoved(square, 0, image).points).toHaveLength(3);
  });

  test("a polygon has a middle between its last point and its first, a line has not", () => {
    expect(middles(triangle).map(({ index }) => index)).toEqual([1, 2, 3]);
    expect(middles(drawn("polyline", [0, 0], [10, 0]))).toEqual([{ index: 1, at: at(5, 0) }]);
  });
});

test.each([
  [triangle, at(20, 20), true],
  [triangle, at(55, 55), false],
  [drawn("polyline", [0, 0], [50, 0]), at(25, 3), true],
  [drawn("polyline", [0, 0], [50, 0]), at(25, 9), false],
  [drawn("point", [30, 30]), at(33, 33), true],
  [drawn("point", [30, 30]), at(40, 40), false],
  [boxed([10, 10, 20, 20]), at(15, 15), true],
])("a click means the form that lies there: %#", (outline, point, meant) => {
  expect(hits(outline, point, 4)).toBe(meant);
});

test.each(["box", "point", "polygon", "polyline"] as const)(
  "a %s can be begun by keyboard, in what is seen",
  (type) => {
    const outline = inTheMiddle(type, [0, 0, 40, 40], image);
    expect(outline.type).toBe(type);
    expect(outline.box[0]).toBeGreaterThanOrEqual(0);
    expect(outline.box[2]).toBeLessThanOrEqual(40);
  },
);
