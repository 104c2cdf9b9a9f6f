import { expect, test } from "vitest";
import { EVERYTHING } from "./queries";
import { type Walk, extended, placeInWords, stepped } from "./walk";

const WALK: Walk = { asked: EVERYTHING, digests: ["a", "b"], next: "cursor", count: 3, more: false };

test("one goes forth and back, and at the end to where the next page begins", () => {
  expect(stepped(WALK, "a", 1)).toBe("b");
  expect(stepped(WALK, "b", -1)).toBe("a");
  expect(stepped(WALK, "a", -1)).toBeNull();
  expect(stepped(WALK, "b", 1)).toEqual({ rest: "cursor" });
  expect(stepped({ ...WALK, next: null }, "b", 1)).toBeNull();
  expect(stepped(WALK, "elsewhere", 1)).toBeNull();
});

test("the next page follows, without what was there before", () => {
  const longer = extended(WALK, { rows: [{ digest: "b" }, { digest: "c" }], next: null });
  expect([longer.digests, longer.next]).toEqual([["a", "b", "c"], null]);
  expect(stepped(longer, "b", 1)).toBe("c");
  expect(stepped(longer, "c", 1)).toBeNull();
});

test("the place is told, of as many as there are", () => {
  expect(placeInWords(WALK, "b")).toBe("2 of 3");
  expect(placeInWords({ ...WALK, count: 10_000, more: true }, "a")).toBe("1 of more than 10,000");
  expect(placeInWords({ ...WALK, next: null, count: 9 }, "a")).toBe("1 of 2");
  expect(placeInWords(WALK, "elsewhere")).toBeNull();
});
