import { expect, test } from "vitest";
import type { Box } from "./geometry";
import { TAG_HEIGHT, tagPlaces } from "./tags";

const canvas = { width: 800, height: 600 };
const tag = (box: Box, width = 70) => ({ box, width });

test("A tag alone lies above its box's left corner", () => {
  expect(tagPlaces([tag([100, 100, 200, 200])], canvas)).toEqual([{ x: 99, y: 100 - TAG_HEIGHT - 1 }]);
});

test("Of boxes that lie over one another no tag hides another", () => {
  const boxes: Box[] = [0, 3, 6, 9, 12].map((by) => [100 + by, 100 + by, 220 + by, 220 + by]);
  const places = tagPlaces(
    boxes.map((box) => tag(box)),
    canvas,
  );
  const over = places.flatMap((a, first) =>
    places.filter((b, second) => second > first && Math.abs(a.x - b.x) < 70 && Math.abs(a.y - b.y) < TAG_HEIGHT),
  );
  expect(over).toEqual([]);
});

test("The first chooses first", () => {
  const [first] = tagPlaces([tag([100, 100, 200, 200])], canvas);
  expect(tagPlaces([tag([100, 100, 200, 200]), tag([100, 100, 200, 200])], canvas)[0]).toEqual(first);
});

test("At the upper edge a tag lies inside its box, and never beyond the canvas", () => {
  const boxes: Box[] = [
    [0, 0, 60, 60],
    [760, 2, 800, 40],
    [0, 590, 30, 600],
    [790, 595, 800, 600],
  ];
  for (const { x, y } of tagPlaces(
    boxes.map((box) => tag(box)),
    canvas,
  )) {
    expect(x >= 0 && x + 70 <= canvas.width && y >= 0 && y + TAG_HEIGHT <= canvas.height).toBe(true);
  }
});

test("Where there is no free place left, every tag still has one", () => {
  const many = Array.from({ length: 60 }, () => tag([100, 100, 130, 130]));
  expect(tagPlaces(many, canvas)).toHaveLength(60);
});
