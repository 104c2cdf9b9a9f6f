import { expect, test } from "vitest";
import { aboutOf } from "./about";

test.each([
  [
    { prediction_id: "p1", task_id: "t1", risk: 0.6134, reasons: ["audit-lot", "risk-above-threshold"] },
    "risk 0.61 · reasons audit-lot, risk-above-threshold",
  ],
  [{ task_id: "t1", corrections: { missed: 2, both: 1 } }, "corrections 2 missed, 1 both"],
  [{ task_id: "t1", item_digest: "ab", corrections: {} }, "corrections none"],
  [{ model_id: "m1" }, "model id m1"],
  [{ cycle_id: "c1", state: "failed", error: "" }, "state failed"],
  [{}, ""],
])("%o is told as: %s", (body, words) => {
  expect(aboutOf(body)).toBe(words);
});
