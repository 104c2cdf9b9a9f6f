import { expect, test } from "vitest";
import { figuresOf, verdictOf } from "./decision";

const decision = {
  promoted: false,
  settings: { mode: "non_inferior" },
  images: 120,
  map50_95: { champion: 0.5, candidate: 0.53, delta: 0.03, interval: [-0.01, 0.07], lower_bound: -0.004 },
  map50: { champion: null, candidate: null, delta: null, interval: null, lower_bound: null },
  clauses: [{ name: "class left-hand", passed: false, detail: "it is worse by 0.08", numbers: { p: 0.01, of: "x" } }],
};

test("the gate's clauses are read in words", () => {
  expect(verdictOf(decision)).toEqual({
    promoted: false,
    mode: "non-inferior",
    images: 120,
    clauses: [
      { name: "class left-hand", verdict: "failed", detail: "it is worse by 0.08", numbers: { p: 0.01, of: null } },
    ],
  });
});

test("before the gate has decided there is no verdict", () => {
  expect(verdictOf({})).toBeNull();
});

test("figures come from the gate with their interval, and what cannot be said is left out", () => {
  expect(figuresOf({ champion_id: "model_1", decision, evaluation: {} })).toEqual([
    { name: "mAP 50–95", champion: 0.5, candidate: 0.53, delta: 0.03, interval: [-0.01, 0.07] },
  ]);
});

test("without a gate the evaluation alone is shown", () => {
  const evaluation = { before: { map50: 0.5 }, after: { map50: 0.75 } };
  expect(figuresOf({ champion_id: "model_1", decision: {}, evaluation })).toEqual([
    { name: "mAP 50", champion: 0.5, candidate: 0.75, delta: 0.25, interval: null },
  ]);
});

test("without a champion there is nothing to compare with, whatever the gate wrote", () => {
  const first = { map50: { champion: 0.0, candidate: 0.6, delta: 0.6, interval: [0.5, 0.7] } };
  expect(figuresOf({ champion_id: null, decision: first, evaluation: {} })).toEqual([
    { name: "mAP 50", champion: null, candidate: 0.6, delta: null, interval: null },
  ]);
});

test.each([
  { clauses: "none", promoted: true },
  { clauses: [null, 3], promoted: true, settings: null },
])("an unexpected document is no error: %o", (odd) => {
  expect(() => [verdictOf(odd), figuresOf({ champion_id: "model_1", decision: odd, evaluation: odd })]).not.toThrow();
});

test("what was not judged has neither passed nor failed", () => {
  const clauses = [
    { name: "slice source belt", passed: true, detail: "not judged: 4 images are too few", numbers: {} },
    { name: "latency", passed: true, detail: "12 ms", numbers: {} },
  ];
  expect(verdictOf({ ...decision, clauses })?.clauses.map(({ verdict }) => verdict)).toEqual(["not judged", "passed"]);
});
