import { expect, test } from "vitest";
import { effectOf, signedPercent, verdictOf } from "./drift";

test.each([
  [{ verdict: "same", alarm: false, scheduled: true }, "no drift", "good"],
  [{ verdict: "drift", alarm: true, scheduled: true }, "drift", "bad"],
  [{ verdict: "drift", alarm: false, scheduled: true }, "drift in this window", "warn"],
  [{ verdict: "same", alarm: true, scheduled: true }, "no drift in this window", "warn"],
  [{ verdict: "drift", alarm: false, scheduled: false }, "drift", "bad"],
  [{ verdict: "same", alarm: true, scheduled: false }, "no drift", "good"],
] as const)("a look that says %o is told as: %s", (report, words, tone) => {
  expect(verdictOf(report)).toMatchObject({ words, tone });
});

test.each([
  ["embeddings", "told apart with AUROC 0.82 (0.75 to 0.91)"],
  ["scores", "largest gap 0.82 (0.75 to 0.91)"],
  ["classes", "82% of the objects moved (75% to 91%)"],
  ["something new", "0.820 (0.750 to 0.910)"],
])("the effect of %s is told as: %s", (name, words) => {
  expect(effectOf({ name, effect: 0.82, low: 0.75, high: 0.91 })).toBe(words);
});

test("changes have their sign", () => {
  expect([0.124, -0.095, 0].map(signedPercent)).toEqual(["+12.4%", "−9.5%", "+0.0%"]);
});
