import { expect, test } from "vitest";
import type { Triggers } from "../api/types";
import { triggersInWords } from "./cycles";

const NONE: Triggers["rules"] = {
  reviewed: null,
  corrected: null,
  failure_rate: null,
  drift: false,
  schedule: null,
  every_hours: null,
  when: null,
  least_new: 20,
  quiet_hours: 1,
  failed_hours: 24,
};
const SITUATION: Triggers["situation"] = {
  running: null,
  ended_at: null,
  ended_as: null,
  reviewed: 120,
  corrected: 3,
  failure_rate: null,
  drift: true,
};
const of = (rules: Partial<Triggers["rules"]>) =>
  triggersInWords({
    rules: { ...NONE, ...rules },
    version: "1",
    situation: SITUATION,
    conditions: [{ name: "drift", holds: true, said: "production drifts" }],
    reasons: [],
    waiting: "",
    next_times: [],
  });

test("times of the clock are told in words, with when the next is", () => {
  const schedule = { at: "02:30", days: ["mon", "thu"], zone: "Europe/Zurich" };
  const found = triggersInWords({
    rules: { ...NONE, schedule },
    version: "1",
    situation: SITUATION,
    conditions: [{ name: "schedule", holds: false, said: "it is time on 2026-11-30 01:30 UTC" }],
    reasons: [],
    waiting: "",
    next_times: [],
  });
  expect(found).toEqual([
    { name: "schedule", asks: "mon, thu at 02:30 (Europe/Zurich)", now: "it is time on 2026-11-30 01:30 UTC", holds: false },
  ]);
});

test("only triggers that are set are told, each with how far it is", () => {
  expect(of({})).toEqual([]);
  expect(of({ reviewed: 200, drift: true })).toEqual([
    { name: "reviewed", asks: "200 items reviewed", now: "120", holds: false },
    { name: "drift", asks: "the drift alarm", now: "on", holds: true },
  ]);
});

test("a failure rate that is not known is not told as none", () => {
  expect(of({ failure_rate: 0.05 })[0]).toMatchObject({ asks: "a failure rate surely above 5%", now: "not known" });
});
