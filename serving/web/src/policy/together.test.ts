import { expect, test } from "vitest";
import { changedRules, fitting, groupsOf, toggled, togetherInWords, whenOf } from "./together";

const RULES = { reviewed: null, corrected: 200, failure_rate: 0.05, drift: true, every_hours: null, least_new: 20 };
const FAILS_OR_DRIFTS = { any: [{ all: ["corrected", "failure_rate"] }, "drift"] };

test.each([
  [FAILS_OR_DRIFTS, [["corrected", "failure_rate"], ["drift"]]],
  [{ all: ["corrected", { any: ["drift", "failure_rate"] }] }, [["corrected", "drift"], ["corrected", "failure_rate"]]],
  [{ all: [{ any: ["drift", "corrected"] }, { any: ["drift", "corrected"] }] }, [["drift"], ["corrected", "drift"], ["corrected"]]],
  [{ any: ["drift"] }, [["drift"]]],
  [null, []],
] as const)("%j is shown as groups", (when, groups) => {
  expect(groupsOf(when)).toEqual(groups);
});

test("groups are sent as any of all, and come back the same", () => {
  expect(whenOf([["failure_rate", "corrected"], ["drift"], []])).toEqual(FAILS_OR_DRIFTS);
  expect(whenOf([["corrected", "drift"]])).toEqual({ all: ["corrected", "drift"] });
  expect(whenOf([["drift"], ["drift"]])).toEqual({ all: ["drift"] });
  expect(whenOf([[]])).toBe(null);
});

test("a trigger that is taken away counts no more, and one that is added asks alone", () => {
  expect(fitting({ ...RULES, when: FAILS_OR_DRIFTS }).when).toBe(FAILS_OR_DRIFTS);
  expect(fitting({ ...RULES, failure_rate: null, when: FAILS_OR_DRIFTS }).when).toEqual({ any: ["corrected", "drift"] });
  expect(fitting({ ...RULES, reviewed: 5, when: FAILS_OR_DRIFTS }).when).toEqual({
    any: [...FAILS_OR_DRIFTS.any, "reviewed"],
  });
  expect(fitting({ ...RULES, corrected: null, failure_rate: null, drift: false, when: FAILS_OR_DRIFTS }).when).toBe(null);
  expect(fitting({ ...RULES, when: null }).when).toBe(null);
});

test("only what differs is sent, the combination as a whole", () => {
  const rules = { ...RULES, when: FAILS_OR_DRIFTS };
  expect(changedRules(rules, { ...rules, when: { any: [{ all: ["corrected", "failure_rate"] }, "drift"] } })).toEqual({});
  expect(changedRules(rules, { ...rules, corrected: 100, when: null })).toEqual({ corrected: 100, when: null });
});

test("times of the clock stay in the groups that name them", () => {
  const schedule = { at: "02:30", days: ["mon"], zone: "UTC" };
  const rules = { ...RULES, drift: false, failure_rate: null, schedule, when: { all: ["corrected", "schedule"] } };
  expect(changedRules(rules, fitting(rules))).toEqual({});
});

test("a name goes into a group and out of it; words tell the groups", () => {
  expect(toggled([["corrected"], ["drift"]], 0, "drift")).toEqual([["corrected", "drift"], ["drift"]]);
  expect(toggled([["corrected", "drift"]], 0, "drift")).toEqual([["corrected"]]);
  expect(togetherInWords(FAILS_OR_DRIFTS, (name) => `<${name}>`)).toBe("<corrected> and <failure_rate>, or <drift>");
});
