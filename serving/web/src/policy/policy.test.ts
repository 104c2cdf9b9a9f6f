import { expect, test } from "vitest";
import { Api } from "../api/client";
import type { Policy } from "../api/types";
import { change } from "./calls";
import { nearestOf } from "./nearest";
import { type Plain, changed, changesTo, differences, documentOf, inWords, read } from "./policy";

const POLICY: Policy = {
  version: 3,
  threshold: 0.5, audit_rate: 0.1, score_threshold: 0.3, failure_iou: 0.5, lease_seconds: 600,
  retain: "all", retain_rate: 1, durability: "before-answer",
  queue: {
    risk_weight: 1, age_weight: 0, deadline_weight: 0, overdue_weight: 0, stage_boosts: {},
    source_boosts: { "cam.1": 3 }, horizon_seconds: 3600, due_seconds: {}, escalate_after_seconds: null,
    escalation_group: "", stage_groups: {}, skills: [], people: { audit: 2 }, people_share: 1,
    skips_before_expert: 2, expert_group: "", max_leases: 7, max_tasks_a_day: null, blind_share: 0,
    fair_sources: false, source_shares: {},
  },
  functions: [],
  workflow: {
    qa: "off", share: 0.1, max_returns: 2, rework_patience_seconds: 3600, proposals: "shown",
    lots: {
      size: 200, close_after_seconds: null, by: "project", plan: "share", share: 0.1, threshold: 0.05, aql: 0.01,
      ltpd: 0.1, alpha: 0.05, beta: 0.1,
    },
  },
  quality: {
    consensus: { iou: 0.5, min_agreement: 0.8, min_certainty: 0.5 },
    golden: { rate: 0.05, again_days: 30, qualification: false, training: false },
    standing: { bar: 0.8, confidence: 0.95, min_items: 10, window: 50 },
    labels: { recheck: 0 },
  },
  gate: { fallback: "flag", max_wait_seconds: 60, min_review_seconds: 5 },
  guarantee: {
    promises: [
      {
        alpha: 0.1, delta: 0.1, statement: "high-probability", loss: "failure", classes: [], by: "none",
        missed_weight: 1, false_alarm_weight: 1,
      },
    ],
    evidence_share: 0.5, window_audits: 2000, window_days: 30, patience_days: 2, on_alarm: "review",
    when_short: "hold", hours_a_day: null, costs: { review: null, missed: 2, false_alarm: 0 },
  },
  audit_rates: { by_source: {}, by_label: {}, by_risk: [[0.2, 0.5]] },
}; // prettier-ignore

const problemOf = (document: unknown) => {
  const found = read(JSON.stringify(document));
  return "problem" in found ? found.problem : null;
};

const told = (changes: Plain): string[] =>
  differences(documentOf(POLICY), changed(POLICY, changes)).map(
    (one) => `${one.place}: ${inWords(one.old)} → ${inWords(one.new)}`,
  );

test("the document as it is shown has no version, is read again, and changes nothing", () => {
  const text = JSON.stringify(documentOf(POLICY), null, 2);
  expect(JSON.parse(text)).not.toHaveProperty("version");
  const found = read(text);
  expect(found).toEqual({ document: documentOf(POLICY) });
  expect("document" in found && changesTo(POLICY, found.document)).toEqual({});
});

test("only what differs is sent, and what is null or left out at the top stays", () => {
  const { gate: _, ...document } = documentOf(POLICY);
  const queue = { ...POLICY.queue, max_leases: null };
  const workflow = { qa: "lots", lots: { ...POLICY.workflow.lots, size: 50 } };
  const given = { ...document, threshold: 0.25, audit_rate: null, queue, workflow };
  expect(changesTo(POLICY, given)).toEqual({
    threshold: 0.25,
    queue: { max_leases: null },
    workflow: { qa: "lots", lots: { size: 50 } },
  });
});

test("a list or a map is sent as a whole; the order of a map's keys is no change", () => {
  const boosts = { b: 1, "cam.1": 3 };
  const promises = [{ ...POLICY.guarantee.promises[0], alpha: 0.2 }];
  expect(changesTo(POLICY, { queue: { source_boosts: boosts }, guarantee: { promises } })).toEqual({
    queue: { source_boosts: boosts },
    guarantee: { promises },
  });
  const present = { ...POLICY, queue: { ...POLICY.queue, source_boosts: boosts } };
  expect(changesTo(present, { queue: { source_boosts: { "cam.1": 3, b: 1 } } })).toEqual({});
});

test("changes are told leaf by leaf, with what was not there or is not any more", () => {
  const promises = [{ ...POLICY.guarantee.promises[0], classes: ["circle"] }];
  expect(
    told({
      retain: "sampled",
      queue: { people: {}, source_boosts: { "cam.1": 4, off: 1 }, max_leases: null },
      workflow: { lots: { size: 50 } },
      guarantee: { promises },
      audit_rates: { by_risk: [] },
    }),
  ).toEqual([
    "retain: all → sampled",
    'queue.source_boosts["cam.1"]: 3 → 4',
    "queue.source_boosts.off: not there → 1",
    "queue.people.audit: 2 → not there",
    "queue.max_leases: 7 → null",
    "workflow.lots.size: 200 → 50",
    'guarantee.promises[0].classes: [] → ["circle"]',
    "audit_rates.by_risk: [[0.2,0.5]] → []",
  ]);
});

test("what others changed since the text was begun stays", () => {
  const newest = { ...POLICY, version: 4, audit_rate: 0.9, threshold: 0.25 };
  const mine = changesTo(POLICY, { ...documentOf(POLICY), threshold: 0.25, lease_seconds: 60 });
  const changes = changesTo(newest, mine);
  expect(changes).toEqual({ lease_seconds: 60 });
  expect(changed(newest, changes)).toMatchObject({ audit_rate: 0.9, threshold: 0.25, lease_seconds: 60 });
});

test("keys that no policy has are told with the nearest, also within lists", () => {
  expect(problemOf({ queue: { risk_wieght: 1 }, functions: [{ name: "f", button: { lable: "F" } }] })).toEqual({
    title: "The policy has no such key",
    detail:
      "queue.risk_wieght is not known, did you mean risk_weight? " +
      "functions[0].button.lable is not known, did you mean label?",
    hint: "Correct it, or leave it out.",
  });
  expect(problemOf({ gate: { colour: "red" } })).toMatchObject({
    detail: "gate.colour is not known.",
    hint: "What may stand there: fallback, max_wait_seconds, min_review_seconds.",
  });
  expect(problemOf({ constructor: 1 })?.detail).toBe("constructor is not known.");
});

test("what stands in maps and options may be called anything", () => {
  expect(problemOf({ queue: { source_boosts: { x: 1 } }, functions: [{ name: "f", options: { y: {} } }] })).toBeNull();
});

test("what is no JSON, or no object, is told", () => {
  expect(read('{"threshold": 0.5,}')).toMatchObject({ problem: { title: "This is not JSON" } });
  expect(problemOf([1])?.title).toBe("This is no policy");
});

test.each([
  ["treshold", "threshold"],
  ["auditrate", "audit_rate"],
  ["colour", null],
  ["", null],
])("nearest to %s is %s", (name, expected) => {
  expect(nearestOf(name, ["threshold", "audit_rate", "gate"])).toBe(expected);
});

test("a change goes to the project's policy", async () => {
  const asked: unknown[] = [];
  const fetcher = (url: string, init?: RequestInit) => {
    asked.push([init?.method, url, init?.body]);
    return Promise.resolve(Response.json({ ...POLICY, version: 4 }));
  };
  const api = new Api("token", () => undefined, fetcher, "http://here");
  expect((await change(api, "street", { threshold: 0.2 })).version).toBe(4);
  expect(asked).toEqual([["PATCH", "http://here/v1/projects/street/policy", '{"threshold":0.2}']]);
});
