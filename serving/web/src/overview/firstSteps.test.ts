import { expect, test } from "vitest";
import { needsFirstSteps, refusedFor } from "./firstSteps";

const ended = { state: "refused" as const, finished_at: "2026-11-01T10:00:00Z" };
const running = { state: "running" as const, finished_at: null };

test.each([
  ["nothing yet", null, [], [], true],
  ["after a cycle that was refused", null, [ended], [], true],
  ["while a cycle runs", null, [running, ended], [], false],
  ["while a model is deployed", null, [], [{ state: "queued" as const }], false],
  ["after a deployment that failed", null, [], [{ state: "failed" as const }], true],
  ["with a champion", "model_1", [ended], [{ state: "active" as const }], false],
])("%s", (_, champion, cycles, promotions, needed) => {
  expect(needsFirstSteps({ champion, cycles, promotions })).toBe(needed);
});

test("what the gate refused a model for is known of its cycle", () => {
  const clauses = [
    { name: "superior", passed: false, detail: "it is not surely better" },
    { name: "latency", passed: true, detail: "12 ms" },
  ];
  const cycles = [
    { id: "cycle_2", candidate_id: "model_2", decision: { promoted: true, clauses: [] } },
    { id: "cycle_1", candidate_id: null, decision: { promoted: false, clauses } },
  ];
  const models = [
    { id: "model_1", cycle_id: "cycle_1" },
    { id: "model_2", cycle_id: "cycle_2" },
    { id: "model_3", cycle_id: null },
  ];
  expect(refusedFor("model_1", models, cycles)?.map(({ detail }) => detail)).toEqual(["it is not surely better"]);
  expect(refusedFor("model_2", models, cycles)).toBeNull();
  expect(refusedFor("model_3", models, cycles)).toBeNull();
});
