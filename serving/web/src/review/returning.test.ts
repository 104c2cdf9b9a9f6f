import { expect, test } from "vitest";
import { answerStyle } from "./answerStyles";
import { returning } from "./returning";

test("issues are pinned, dropped by their place, and need words", () => {
  const one = returning([], { type: "pin", message: " too small ", shapes: ["a", "b"] });
  expect(one).toEqual([{ message: "too small", shapes: ["a", "b"] }]);
  expect(returning(one, { type: "pin", message: "  ", shapes: [] })).toBe(one);
  const two = returning(one, { type: "pin", message: "missed one", shapes: [] });
  expect(returning(two, { type: "drop", index: 0 })).toEqual([{ message: "missed one", shapes: [] }]);
});

test("no two of twenty people are drawn alike", () => {
  const styles = Array.from({ length: 20 }, (_, index) => JSON.stringify(answerStyle(index + 1)));
  expect(new Set(styles).size).toBe(20);
});
