import { expect, test } from "vitest";
import { searches } from "./phases";

const LISTS = { made_for: 60_000, count: 979, searched: 16, compressed: false, wanted: 0.98, recall: 0.991 };

test("a small index is searched whole", () => expect(searches(null)).toBe("all of them"));

test("a large one says what its searches were found to find", () =>
  expect(searches(LISTS)).toBe("16 of 979 lists, made for 60,000: 99.1% of the ten nearest"));

test("one that finds fewer than is wanted says so", () =>
  expect(searches({ ...LISTS, searched: 979, recall: 0.912 })).toBe(
    "979 of 979 lists, made for 60,000: 91.2% of the ten nearest, where 98.0% are wanted; looking at more finds no more",
  ));
