import { expect, test } from "vitest";
import type { Risk, RiskQuality } from "../api/types";
import { isBetter, measuredOf, sourceInWords } from "./risk";

const QUALITY: RiskQuality = {
  reviews: 50,
  failures: 20,
  failure_rate: 0.3,
  auroc: 0.87,
  brier: 0.12,
  base: 0.21,
  reliability: [[0.1, 0.12, 1]],
};
const NOTHING: Risk = {
  model_id: "model_1",
  in_use: "heuristic",
  learned_at: null,
  reviewed: 12,
  learned: null,
  why: "12 reviews, of which 3 were corrected; it takes 50 with 10 of each to learn from.",
  routed_by: QUALITY,
};
const LEARNED: Risk = {
  ...NOTHING,
  in_use: "learned",
  learned_at: "2026-01-02T10:00:00Z",
  reviewed: 70,
  learned: { fitted_on: 50, quality: QUALITY, audits: null },
  why: "",
};

test("before there is enough the rule speaks, and what is missing is told", () => {
  expect(sourceInWords(NOTHING)).toContain("fixed rule");
  expect(sourceInWords(NOTHING)).toContain("it takes 50 with 10 of each");
  expect(measuredOf(NOTHING).map(({ name }) => name)).toEqual(["The rule, on all reviews"]);
  expect(measuredOf({ ...NOTHING, routed_by: null })).toEqual([]);
});

test("what was learned is told with since when and by how many reviews", () => {
  expect(sourceInWords(LEARNED)).toMatch(/^In use since 2 Jan.*learned from 50 reviews.*70 reviews there are now/);
  expect(measuredOf(LEARNED)[0]?.name).toBe("Learned, on reviews held out");
  expect(measuredOf({ ...LEARNED, learned: { fitted_on: 50, quality: QUALITY, audits: QUALITY } })).toHaveLength(3);
});

test("what was learned and is turned off is not told as in use", () => {
  expect(sourceInWords({ ...LEARNED, in_use: "heuristic" })).toMatch(/fixed rule, since selection.learn_risk is off/);
});

test("a risk that is no better than the rate alone is told from one that is", () => {
  expect(isBetter(QUALITY)).toBe(true);
  expect(isBetter({ brier: 0.21, base: 0.21 })).toBe(false);
});
