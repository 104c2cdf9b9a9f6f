import { expect, test } from "vitest";
import type { Rollout } from "../api/types";
import { AS_SET, axisOf, freeKinds, rulesInWords, rulesOfTyped, shareOfTyped } from "./rollouts";

const RULES = {
  margin: 0.05,
  confidence: 0.95,
  max_hours: 72,
  max_answers: 2000,
  patience_hours: 24,
  on_pass: "tell",
  on_undecided: "roll_back",
  expected: 0.1,
} as const;

test.each([
  ["10", 0.1],
  ["0,5", 0.005],
  [" 100 ", 1],
  ["0", null],
  ["101", null],
  ["-5", null],
  ["", null],
  [" ", null],
  ["some", null],
  ["Infinity", null],
])("%j percent are the share %s", (typed, share) => {
  expect(shareOfTyped(typed)).toBe(share);
});

test.each([
  [{}, {}],
  [{ margin: "2,5" }, { margin: 0.025 }],
  [{ hours: "0.5", onPass: "promote" }, { max_hours: 0.5, on_pass: "promote" }],
  [{ margin: "100" }, null],
  [{ margin: "0" }, null],
  [{ margin: "some" }, null],
  [{ hours: "0" }, null],
  [{ hours: "-1" }, null],
  [{ hours: "8761" }, null],
  [{ hours: "long" }, null],
] as const)("%j are the rules %j of a canary, all others as set", (typed, rules) => {
  expect(rulesOfTyped({ ...AS_SET, ...typed })).toEqual(rules);
});

test("one of each kind runs at a time, and what has ended keeps none from starting", () => {
  const one = (kind: Rollout["kind"], state: Rollout["state"]) => ({ kind, state }) as Rollout;
  expect(freeKinds([])).toEqual(["canary", "shadow"]);
  expect(freeKinds([one("canary", "queued"), one("shadow", "rolled_back")])).toEqual(["shadow"]);
  expect(freeKinds([one("canary", "active"), one("shadow", "active")])).toEqual([]);
});

test.each([
  { low: -0.9, high: 0.9 },
  { low: 0.1, high: 0.2 },
  { low: -0.2, high: -0.1 },
  { low: -0.01, high: 0.01 },
])("the bounds, no difference and the margin are all in sight and in order: %o", (bounds) => {
  const axis = axisOf(bounds, 0.05);
  for (const place of Object.values(axis)) {
    expect(place).toBeGreaterThan(0);
    expect(place).toBeLessThan(100);
  }
  expect(axis.low).toBeLessThan(axis.high);
  expect(axis.zero).toBeLessThan(axis.margin);
  expect(axis.low > axis.zero).toBe(bounds.low > 0);
  expect(axis.high < axis.margin).toBe(bounds.high < 0.05);
});

test("what becomes of a canary is said by its own rules", () => {
  const usual = rulesInWords({ judging: RULES }).join(" ");
  expect(usual).toContain("at most 5 points more often; it goes on until a person");
  expect(usual).toContain("after 72 h or 2000 answers; it is taken back");
  const other = rulesInWords({ judging: { ...RULES, on_pass: "promote", on_undecided: "accept" } }).join(" ");
  expect(other).toContain("it becomes the champion");
  expect(other).toContain("it counts as not worse");
  expect(rulesInWords({ judging: null })).toEqual([]);
});
