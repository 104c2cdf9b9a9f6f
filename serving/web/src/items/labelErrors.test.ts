import { expect, test } from "vitest";
import type { Doubt } from "../api/types";
import { comparedInWords, doubtInWords, outlinesOf } from "./labelErrors";

const SHAPE = { type: "box", label: "circle", box: [1, 2, 30, 40] } as unknown as NonNullable<Doubt["shape"]>;
const SEEN = { label: "square", score: 0.934, box: [2, 3, 31, 41] } as NonNullable<Doubt["detection"]>;
const doubt = (flaw: Doubt["flaw"], shape: Doubt["shape"], detection: Doubt["detection"]): Doubt => ({
  score: 0.1,
  flaw,
  shape,
  detection,
});

test.each([
  [doubt("overlooked", null, SEEN), "no box where the model sees square 0.93"],
  [doubt("misnamed", SHAPE, SEEN), "circle where the model sees square 0.93"],
  [doubt("misplaced", SHAPE, SEEN), "circle beside where the model sees square 0.93"],
  [doubt("misplaced", SHAPE, null), "circle where the model sees nothing"],
])("a doubt is told in words", (one, words) => {
  expect(doubtInWords(one)).toBe(words);
});

test("both sides of a doubt are drawn, a polygon by the box around it", () => {
  const polygon = { type: "polygon", label: "bar", points: [[5, 9], [1, 2], [7, 4]] } as unknown as typeof SHAPE;
  expect(outlinesOf([doubt("misnamed", SHAPE, SEEN), doubt("misplaced", polygon, null)])).toEqual([
    { box: [1, 2, 30, 40], of: "truth" },
    { box: [2, 3, 31, 41], of: "prediction" },
    { box: [1, 2, 7, 9], of: "truth" },
  ]);
});

test("what was compared is told, and what could not be", () => {
  expect(comparedInWords({ total: 1, compared: 1, unseen: 0, more: false, items: [] })).toBe("1 item compared.");
  expect(comparedInWords({ total: 1_000_000, compared: 20, unseen: 3, more: true, items: [] })).toBe(
    "20 items compared, of 1,000,000 with truth, for which they stand. 3 items with truth no model has predicted without having learned them.",
  );
});
