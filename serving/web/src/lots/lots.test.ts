import { expect, test } from "vitest";
import type { CurvePoint, Lot, LotRules } from "../api/types";
import { ticksOf } from "../app/ticks";
import { judgedSize, limitsOf, originOf, planOf, shownUntil, standingOf, told, verdictOf, wilson } from "./lots";

const RULES: LotRules = {
  size: 100, close_after_seconds: null, by: "project", plan: "share",
  share: 0.1, threshold: 0.05, aql: 0.01, ltpd: 0.1, alpha: 0.05, beta: 0.1,
}; // prettier-ignore

const LOT = { state: "inspecting", inspected: 0, accept_at: -1, reject_at: 0, items: 40, void: 0, rules: RULES } as Lot;

test("a plan says what it promises, not its parameters", () => {
  expect(planOf(RULES)).toBe("10% are looked at, of which at most 5% may have defects");
  expect(planOf({ ...RULES, plan: "single", aql: 0.0125 })).toBe(
    "one sample: a lot with 1.25% defects is rejected with at most 5% probability, " +
      "one with 10% accepted with at most 10%",
  );
});

test.each([
  [{ state: "open" as const }, "it still fills"],
  [{}, "nothing is looked at yet"],
  [{ inspected: 1, reject_at: 2 }, "after 1 item: too few to accept, rejected with 2 or more"],
  [{ inspected: 13, accept_at: 0, reject_at: 2 }, "after 13 items: accepted with at most 0, rejected with 2 or more"],
])("the limits of a lot with %o: %s", (known, words) => {
  expect(limitsOf({ ...LOT, ...known })).toBe(words);
});

test("a plan is about what a lot came to, or, while it fills, will come to", () => {
  expect(judgedSize({ ...LOT, closed_at: null })).toBe(100);
  expect(judgedSize({ ...LOT, closed_at: "2026-05-01T12:00:00Z", void: 3 })).toBe(37);
  expect(judgedSize({ ...LOT, closed_at: "2026-05-01T12:00:00Z", void: 40 })).toBe(1);
});

test("an upload is about what came so far, and is called by its name", () => {
  expect(judgedSize({ ...LOT, closed_at: null, upload: true, items: 7 })).toBe(7);
  expect(originOf({ upload: true, source: "monday" })).toBe("Upload monday");
  expect(originOf({ upload: true, source: "" })).toBe("An upload");
  expect(originOf({ upload: false, source: "" })).toBe("All sources");
});

test("Wilson's interval: 2 of 20 are between 3 and 30 %, and of nothing nothing is known", () => {
  const { low, high } = wilson(2, 20);
  expect([low.toFixed(3), high.toFixed(3)]).toEqual(["0.028", "0.301"]);
  expect(wilson(0, 0)).toEqual({ low: 0, high: 1 });
  expect(wilson(0, 5).low).toBe(0);
});

const point = (share: number, accepts: number): CurvePoint => ({ share, accepts, defects: share * 100, inspects: 10 });

test("a curve is shown as far as lots may be accepted", () => {
  expect(shownUntil([point(0, 1), point(0.22, 0.001), point(1, 0)])).toBe(0.25);
  expect(shownUntil([point(0, 1), point(0.01, 0)])).toBe(0.1);
  expect(shownUntil([point(0, 1), point(1, 1)])).toBe(1);
  expect(shownUntil([point(0, 1), point(0.22, 0.001), point(1, 0)], 0.5)).toBe(0.5);
});

test.each([
  [1, 0, [0, 0.2, 0.4, 0.6, 0.8, 1]],
  [0.25, 0, [0, 0.05, 0.1, 0.15, 0.2, 0.25]],
  [0.75, 0, [0, 0.2, 0.4, 0.6]],
  [13, 1, [0, 5, 10]],
  [3, 1, [0, 1, 2, 3]],
  [1, 1, [0, 1]],
])("an axis to %s in steps of %s or more has %j", (most, least, ticks) => {
  expect(ticksOf(most, least)).toEqual(ticks);
});

test("of a coarse curve each point is told once", () => {
  expect(told([point(0, 1), point(0.5, 0.2), point(1, 0)]).map((one) => one.share)).toEqual([0, 0.5]);
});

test("an item of a lot in words", () => {
  expect(standingOf({ void: true, standing: null })).toBe("ended without an answer");
  expect(standingOf({ void: false, standing: "in_qa" })).toBe("in QA");
  expect([null, true, false].map((defect) => verdictOf({ defect }).words)).toEqual(["", "defect", "right"]);
});
