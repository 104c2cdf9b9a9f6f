import { describe, expect, test } from "vitest";
import type { Policy, Promised } from "../api/types";
import {
  capacityInWords,
  daysOf,
  deciderInWords,
  groupInWords,
  neededInWords,
  promiseInWords,
  savedInWords,
  thresholdInWords,
  tooLittle,
  topOf,
  unseenInWords,
} from "./quality";

const PROMISE: Promised = {
  alpha: 0.05,
  delta: 0.1,
  statement: "high-probability",
  loss: "failure",
  classes: [],
  by: "none",
  missed_weight: 1,
  false_alarm_weight: 1,
};

describe("a promise in words", () => {
  test("says of what, how much, and how sure it is", () => {
    expect(promiseInWords(PROMISE)).toBe(
      "Of all predictions at most 5% fail and pass without a person; the probability that this is wrong is at most 10%",
    );
  });

  test("on average has no probability", () => {
    const words = promiseInWords({ ...PROMISE, statement: "expected", by: "source" });
    expect(words).toBe("Of the predictions of each source on average at most 5% fail and pass without a person");
  });

  test("of some labels names them", () => {
    expect(promiseInWords({ ...PROMISE, loss: "missed", classes: ["car", "bus"] })).toContain(
      "miss an object (car, bus only) and pass",
    );
  });
});

test("groups are named as people name them; what has an equals sign keeps it", () => {
  expect(["all", "nothing", "other", "source=line 1", "label=a=b"].map(groupInWords)).toEqual([
    "all predictions",
    "shows nothing",
    "all other groups",
    "source line 1",
    "label a=b",
  ]);
});

test("how many more audits are needed tells what none would do", () => {
  const needed = [
    { automation: 0.1, audits: 0 },
    { automation: 0.5, audits: 1200 },
    { automation: 0.9, audits: null },
  ];
  expect(neededInWords(needed)).toBe("10%: enough · 50%: 1,200 more · 90%: too much fails");
});

test("what costs more than reviewing everything saves nothing", () => {
  expect(savedInWords(5, "EUR")).toBe("EUR 5.00 less than reviewing everything");
  expect(savedInWords(-34.06, "EUR")).toBe("EUR 34.06 more than reviewing everything");
});

test("a threshold of 0 lets nothing pass", () => {
  expect([0, 0.25].map(thresholdInWords)).toEqual(["nothing passes", "0.250"]);
});

test("what nobody saw is told where it counts as failed", () => {
  expect(unseenInWords({ closed: 0, overdue: 0 })).toBe("");
  expect(unseenInWords({ closed: 2, overdue: 1 })).toBe(
    "2 that nobody could say and 1 that nobody answered in time count as failures.",
  );
});

test("without answers it says what is missing, and what brings it", () => {
  expect(tooLittle({ answers: 1, predictions: 9 }, 0)).toBe("");
  expect(tooLittle({ answers: 0, predictions: 0 }, 0)).toContain("Nothing was predicted");
  expect(tooLittle({ answers: 0, predictions: 0 }, 6)).toMatch(/^6 predictions wait for people/);
  expect(tooLittle({ answers: 0, predictions: 1 }, 0)).toContain("Of 1 prediction people have answered none");
});

describe("the axis of days", () => {
  const days = (count: number) =>
    Array.from({ length: count }, (_, number) => ({ day: `2026-03-${String(number + 1).padStart(2, "0")}` }));

  test("names the first, the last, and two between them", () => {
    expect(daysOf(days(31)).ticks.map(({ words }) => words)).toEqual(["1 Mar", "11 Mar", "21 Mar", "31 Mar"]);
  });

  test.each([2, 3])("of %i days names each once", (count) => {
    const axis = daysOf(days(count));
    expect(axis.ticks).toHaveLength(count);
    expect([axis.ticks[0]?.at, axis.ticks.at(-1)?.at]).toEqual([axis.from, axis.until]);
  });

  test("has a day that is alone in its middle", () => {
    const { from, until, ticks } = daysOf(days(1));
    expect(ticks.map(({ at }) => at)).toEqual([(from + until) / 2]);
    expect(until).toBeGreaterThan(from);
  });
});

test("an axis of rates ends above the largest, and never beyond 1", () => {
  expect([[0.31, 0.02], [1], [], [0.001]].map(topOf)).toEqual([0.35, 1, 0.05, 0.05]);
});

test("of people's time there is no verdict while nothing is known of it", () => {
  const nothing = { words: "not known yet", short: false };
  expect(capacityInWords({ hours_needed: 0, hours_had: 0, short: true })).toEqual(nothing);
  expect(capacityInWords({ hours_needed: null, hours_had: null, short: false })).toEqual(nothing);
  expect(capacityInWords({ hours_needed: 3, hours_had: 0, short: true })).toEqual({
    words: "needs 3.0 h, have 0.0 h",
    short: true,
  });
});

test.each([
  [[], "risk threshold 0.50"],
  [[PROMISE], "the promise decides which pass"],
  [[PROMISE, PROMISE], "2 promises decide which pass"],
])("with the promises %j: %s", (promises, words) => {
  const guarantee = { promises } as unknown as Policy["guarantee"];
  expect(deciderInWords({ threshold: 0.5, guarantee })).toBe(words);
});
