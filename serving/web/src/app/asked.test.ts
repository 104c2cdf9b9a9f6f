import { expect, test } from "vitest";
import { firstPages } from "./asked";

const numbers = async (after: string | null) => {
  const from = after === null ? 0 : Number(after);
  return { rows: [from, from + 1], next: from < 4 ? String(from + 2) : null };
};

test.each([
  [1, [0, 1], "2"],
  [2, [0, 1, 2, 3], "4"],
  [3, [0, 1, 2, 3, 4, 5], null],
  [9, [0, 1, 2, 3, 4, 5], null],
])("the first %i pages of a list, and where the next begins", async (pages, rows, next) => {
  expect(await firstPages(numbers, pages)).toEqual({ rows, next });
});
