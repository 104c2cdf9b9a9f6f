import { describe, expect, test } from "vitest";
import type { Project, Promised } from "../api/types";
import { type Typed, askedOf, changedSince, flawsOf, typedOf } from "./promising";

const PROMISE: Promised = {
  alpha: 0.07,
  delta: 0.1,
  statement: "expected",
  loss: "cost",
  classes: ["car"],
  by: "source",
  missed_weight: 1,
  false_alarm_weight: 0.25,
};

describe("what is asked for", () => {
  test("a promise that nobody touched is asked for as it is", () => {
    for (const alpha of [0.07, 0.29, 0.001, 0.57]) {
      const present = { ...PROMISE, alpha };
      expect(askedOf(typedOf(present, 0.02), [present], 0, 0.02)).toEqual({
        asked: { guarantee: { promises: [present] } },
      });
    }
  });

  test("a new one comes beside those that there are, a changed one at its place", () => {
    const typed = { ...typedOf(null, 0.02), alpha: "2,5" };
    const made = { ...PROMISE, alpha: 0.025, statement: "high-probability", loss: "failure", classes: [], by: "none" };
    const other = { ...PROMISE, alpha: 0.5 };
    const promised = { ...made, false_alarm_weight: 1 };
    expect(askedOf(typed, [PROMISE], null, 0.02)).toEqual({ asked: { guarantee: { promises: [PROMISE, promised] } } });
    expect(askedOf(typed, [PROMISE, other], 0, 0.02)).toEqual({
      asked: { guarantee: { promises: [promised, other] } },
    });
  });

  test("the audit rate is asked for where it is another", () => {
    const typed = { ...typedOf(null, 0.02), audit: "10" };
    expect(askedOf(typed, [], null, 0.02)).toHaveProperty("asked.audit_rate", 0.1);
    expect(askedOf(typed, [], null, 0.1)).not.toHaveProperty("asked.audit_rate");
  });

  test("what is no number is not asked for, and told at its field", () => {
    const typed: Typed = { ...typedOf(null, 0.02), alpha: "some", delta: "", missedWeight: " ", loss: "cost" };
    expect(askedOf(typed, [], null, 0.02)).toEqual({
      flaws: { alpha: "Give a number.", delta: "Give a number.", missed_weight: "Give a number." },
    });
  });

  test("what is not shown keeps nobody from promising", () => {
    const typed: Typed = {
      ...typedOf(null, 0.02),
      delta: "x",
      missedWeight: "x",
      falseAlarmWeight: "x",
      statement: "expected",
    };
    expect(askedOf(typed, [], null, 0.02)).toHaveProperty("asked");
  });
});

describe("what is refused", () => {
  test("is told at the field that the service names", () => {
    expect(flawsOf({ detail: "alpha is 0.", hint: "More.", ids: { field: "alpha" } })).toEqual({
      alpha: "alpha is 0. More.",
    });
    expect(flawsOf({ detail: "Twice.", hint: "", ids: { field: "promises" } })).toEqual({ promise: "Twice." });
    expect(flawsOf({ detail: "No model.", hint: "", ids: {} })).toEqual({ promise: "No model." });
  });

  test("of the shape of the request, too", () => {
    const fields = [{ field: "body.audit_rate", problem: "at most 1" }];
    expect(flawsOf({ detail: "…", hint: "…", ids: { fields } })).toEqual({ audit_rate: "at most 1" });
  });
});

test("a promise that somebody else changed meanwhile is seen", () => {
  const project = (...promises: Promised[]) => ({ policy: { guarantee: { promises } } }) as unknown as Project;
  expect(changedSince([PROMISE], project({ ...PROMISE }))).toBe(false);
  expect(changedSince([PROMISE], project({ ...PROMISE, classes: [] }))).toBe(true);
  expect(changedSince([], project(PROMISE))).toBe(true);
});
