import { expect, test } from "vitest";
import { ProblemError } from "../api/problem";
import { problemWithSchedule, refusedSchedule, scheduleIn, scheduleInWords, timeThere, toggledDay } from "./schedule";

const NIGHTLY = { at: "02:30", days: ["mon", "thu"], zone: "Europe/Zurich" };

test.each([
  [NIGHTLY, null],
  [null, null],
  [{ ...NIGHTLY, at: "2:30" }, "Give a time as 02:30, of 24 hours; empty: never."],
  [{ ...NIGHTLY, at: "24:00" }, "Give a time as 02:30, of 24 hours; empty: never."],
  [{ ...NIGHTLY, at: "02:30 h" }, "Give a time as 02:30, of 24 hours; empty: never."],
  [{ ...NIGHTLY, zone: "" }, "Give a time zone, such as Europe/Zurich."],
  [{ ...NIGHTLY, zone: "Europe/Bern" }, null],
] as const)("%j is told to be wrong before it is sent, but for zones, which the service knows", (schedule, said) => {
  expect(problemWithSchedule(schedule && { ...schedule, days: [...schedule.days] })).toBe(said);
});

test("days stand in the order of the week, whichever was chosen first, and go again", () => {
  expect(toggledDay(toggledDay([], "sun"), "mon")).toEqual(["mon", "sun"]);
  expect(toggledDay(["mon", "sun"], "mon")).toEqual(["sun"]);
});

test("a schedule is told in words; all seven days are every day", () => {
  expect(scheduleInWords(NIGHTLY)).toBe("Monday and Thursday at 02:30 in Europe/Zurich");
  expect(scheduleInWords({ ...NIGHTLY, days: [] })).toBe("Every day at 02:30 in Europe/Zurich");
  const all = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
  expect(scheduleInWords({ ...NIGHTLY, days: all })).toBe("Every day at 02:30 in Europe/Zurich");
});

test("a time is told by the clock there, also one that the clock skips; else by that of Greenwich", () => {
  expect(timeThere("2026-12-03T01:30:00Z", "Europe/Zurich")).toBe("Thu 3 Dec 02:30");
  expect(timeThere("2026-03-29T01:30:00Z", "Europe/Zurich")).toBe("Sun 29 Mar 03:30");
  expect(timeThere("2026-12-03T01:30:00Z", "Europe/Atlantis")).toBe("Thu 3 Dec 01:30 UTC");
});

test("what a page has kept is read whatever it is", () => {
  expect(scheduleIn(NIGHTLY)).toEqual(NIGHTLY);
  expect(scheduleIn({ at: 3, days: ["thu", "mon", "someday"] })).toEqual({ at: "", days: ["mon", "thu"], zone: "" });
  for (const none of [null, undefined, "02:30"]) expect(scheduleIn(none)).toBe(null);
});

const problem = (ids: Record<string, unknown>) =>
  new ProblemError({ type: "/problems/invalid", title: "T", status: 422, detail: "D.", hint: "H.", ids });

test.each([
  [problem({ field: "schedule" }), "D."],
  [problem({ fields: [{ field: "body.schedule.zone", problem: "too long" }] }), "too long."],
  [problem({ fields: [{ field: "body.reviewed", problem: "too small" }] }), null],
  [problem({ field: "when" }), null],
  [new Error("away"), null],
])("the field says what the service says of it, and nothing of others: %#", (error, said) => {
  expect(refusedSchedule(error)).toBe(said);
});
