import { expect, test } from "vitest";
import { doneInWords, queueInWords } from "./tally";

test.each([
  [null, ""],
  [0, ""],
  [7, ""],
  [21, ""],
  [10, "about"],
  [990, "about"],
])("of %s open tasks it is said how sure that is: %j", (open, about) => {
  expect(queueInWords(open).about).toBe(about);
  expect(queueInWords(open).meaning.includes("rounded")).toBe(about === "about");
});

test("the service counts no further than a thousand", () => {
  expect(queueInWords(1000)).toEqual({ about: "at least", meaning: "Tasks that nobody holds; more are not counted" });
});

test.each([
  [{ done: 0, skipped: 0 }, "0 answered"],
  [{ done: 5, skipped: 0 }, "5 answered"],
  [{ done: 6, skipped: 1 }, "5 answered, 1 skipped"],
  [{ done: 2, skipped: 2 }, "0 answered, 2 skipped"],
])("what was skipped is told apart: %o", (state, words) => {
  expect(doneInWords(state)).toBe(words);
});
