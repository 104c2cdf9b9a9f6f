import { expect, test } from "vitest";
import { Api } from "../api/client";
import type { CocoFigures, Cycle } from "../api/types";
import type { Clause } from "./decision";
import { directionOf, evaluated, measuresOf, mlflowInWords, numbersOf, pairOf, sliceVerdict, slowdown, titleOf } from "./evaluation";

const NONE: CocoFigures = {
  boxes: 9,
  ap: null,
  ap50: null,
  ap75: null,
  ap_small: null,
  ap_medium: null,
  ap_large: null,
  ar1: null,
  ar10: null,
  ar100: null,
  ar_small: null,
  ar_medium: null,
  ar_large: null,
};
const figures = (changes: Partial<CocoFigures>): CocoFigures => ({ ...NONE, ...changes });

const judged = (name: string, passed: boolean): Clause => ({
  name,
  verdict: passed ? "passed" : "failed",
  detail: "as it says",
  numbers: { margin: 0.02, delta: -0.1 },
});

test("a change is candidate less champion, and none where one of them is not known", () => {
  const compared = { before: figures({ ap: 0.5 }), after: figures({ ap: 0.75, ap50: 0.9 }) };
  expect(pairOf(compared, "ap")).toEqual({ champion: 0.5, candidate: 0.75, change: 0.25 });
  expect(pairOf(compared, "ap50")).toEqual({ champion: null, candidate: 0.9, change: null });
  expect(pairOf({ before: null, after: figures({ ap: 0.1 }) }, "ap").champion).toBeNull();
});

test("measures that no model has are left out, and a zero is none of them", () => {
  const names = measuresOf({ before: figures({ ap_large: 0 }), after: figures({ ap: 0.5 }) }).map(({ name }) => name);
  expect(names).toEqual(["mAP 50–95", "mAP 50–95, large"]);
});

test.each([
  [0.01, "up"],
  [-0.01, "down"],
  [0.0004, ""],
  [-0.0004, ""],
  [null, ""],
] as const)("a change of %s is shown as %s", (change, direction) => {
  expect(directionOf(change)).toBe(direction);
});

test("the gate's clause on a slice is found by its name, whatever is in it", () => {
  const slice = { kind: "view", name: "left-hand_side" } as const;
  const clauses = [judged("slice source left-hand_side", true), judged("slice view left-hand_side", false)];
  expect(titleOf(slice)).toBe("view left-hand_side");
  expect(sliceVerdict(slice, clauses)).toEqual({ tone: "bad", words: "worse", margin: 0.02, detail: "as it says" });
  expect(sliceVerdict({ kind: "source", name: "left-hand_side" }, clauses).words).toBe("not shown to be worse");
});

test("audits are alone of their kind, and past failures are judged by what was mended", () => {
  const clauses = [judged("slice audits", true), judged("mended failures", false)];
  expect(sliceVerdict({ kind: "audits", name: "audits" }, clauses).tone).toBe("good");
  expect(sliceVerdict({ kind: "past failures", name: "past failures" }, clauses).words).toBe("fail again");
});

test("what is too small is not judged, with the reason; times never are; nor is anything before the gate", () => {
  const small = { ...judged("slice view dark", true), detail: "not judged: 3 images", numbers: { images: 3 } };
  expect(sliceVerdict({ kind: "view", name: "dark" }, [small])).toEqual({
    tone: "",
    words: "not judged",
    margin: null,
    detail: "3 images",
  });
  expect(sliceVerdict({ kind: "time", name: "1" }, [judged("slice time 1", true)]).words).toBe("not judged");
  expect(sliceVerdict({ kind: "audits", name: "audits" }, []).words).toBe("not judged");
});

test("numbers of a clause are whole, or short, with a real minus sign", () => {
  const numbers = { images: 40, delta: -0.123456, lower_bound: null };
  expect(numbersOf({ ...judged("better", true), numbers })).toEqual([
    { name: "images", value: "40" },
    { name: "delta", value: "−0.1235" },
    { name: "lower bound", value: "–" },
  ]);
});

test("how much slower is told only where both were timed", () => {
  const one = { runtime: "torch fp32", median: 0.01, p90: 0.02 };
  expect(slowdown({ images: 8, before: one, after: { ...one, median: 0.015 }, unmeasured: "" })).toBeCloseTo(1.5);
  expect(slowdown({ images: 8, before: null, after: one, unmeasured: "" })).toBeNull();
  expect(slowdown({ images: 8, before: { ...one, median: 0 }, after: one, unmeasured: "" })).toBeNull();
});

const TOLD = { required: false, untold: 0, oldest: null, error: "", cycles: {} };

test("of MLflow is said which run it has of a cycle, and what it does not know yet, with the reason", () => {
  const cycle = { id: "cycle_1", mlflow_run_id: null as string | null } as Cycle;
  expect(mlflowInWords(cycle, TOLD)).toBe("");
  expect(mlflowInWords({ ...cycle, mlflow_run_id: "ab" }, TOLD)).toBe("run ab");
  const left = { ...TOLD, untold: 9, cycles: { cycle_1: 1, cycle_2: 8 }, error: "connection refused" };
  expect(mlflowInWords({ ...cycle, mlflow_run_id: "ab" }, left)).toBe("run ab, 1 thing is still to be told: connection refused");
  expect(mlflowInWords(cycle, { ...left, cycles: { cycle_1: 2 }, error: "" })).toBe("2 things are still to be told");
});

test("a cycle without figures is shown with the reason; any other problem is one", async () => {
  const answering = (status: number) =>
    new Api(
      "token",
      () => undefined,
      (input) => {
        if (input.endsWith("/mlflow")) return Promise.resolve(Response.json(TOLD));
        if (!input.endsWith("/evaluation")) return Promise.resolve(Response.json({ id: "cycle_1" }));
        const problem = { type: "/problems/conflict", title: "No", status, detail: "not evaluated", hint: "", ids: {} };
        return Promise.resolve(Response.json(problem, { status }));
      },
      "http://here",
    );
  const found = await evaluated(answering(409), "p", "cycle_1");
  expect(found).toEqual({ cycle: { id: "cycle_1" }, figures: null, missing: "not evaluated", mlflow: TOLD });
  await expect(evaluated(answering(500), "p", "cycle_1")).rejects.toThrow("not evaluated");
});
