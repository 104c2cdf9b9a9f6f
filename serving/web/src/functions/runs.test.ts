import { expect, test } from "vitest";
import { Api } from "../api/client";
import { called, runs } from "./calls";
import { failedRuleOf, outcomeInWords, runOf, toneOf, triggerInWords, waitingInWords } from "./runs";

const BODY = {
  function: "redact",
  package: "askance 0.1.0",
  trigger: "task.completed",
  item_digest: "ab12",
  outcome: "timed_out",
  why: "it took longer than 60 s, and its process was ended",
  seconds: 60.01,
  shapes_in: "00",
  shapes_out: null,
  call_id: "call_1",
  attempt: 3,
  made: null,
};

test("a run tells what called for it, on what, what came of it and which try it was", () => {
  expect(runOf({ body: BODY })).toEqual({
    name: "redact",
    package: "askance 0.1.0",
    trigger: "task.completed",
    item: "ab12",
    outcome: "timed_out",
    why: "it took longer than 60 s, and its process was ended",
    seconds: 60.01,
    attempt: 3,
    call: "call_1",
  });
});

test("a press of a button is the first and only try, and no call of the queue", () => {
  const { call_id: _, attempt: __, ...pressed } = BODY;
  const run = runOf({ body: { ...pressed, trigger: "button", task_id: "task_1", item_digest: null } });
  expect(run).toMatchObject({ attempt: 1, call: null, item: null });
  expect(triggerInWords(run.trigger)).toBe("a button");
});

test("only what is done is good", () => {
  expect(["done", "raised", "unavailable"].map(toneOf)).toEqual(["good", "bad", "bad"]);
  expect(outcomeInWords("bad_result")).toBe("bad result");
  expect(["manual", "model.promoted"].map(triggerInWords)).toEqual(["by hand", "model.promoted"]);
});

test.each([
  [0, "no call waits"],
  [1, "1 call waits"],
  [1200, "1,200 calls wait"],
])("%i waiting: %s", (waiting, words) => {
  expect(waitingInWords(waiting)).toBe(words);
});

test("a failed rule is told with its function and why", () => {
  const body = { rule: "plates", function: "plate_format", why: "it took longer than 1 s" };
  expect(failedRuleOf({ body })).toEqual({ rule: "plates", name: "plate_format", why: "it took longer than 1 s" });
});

test("runs and a call are asked for by project and id", async () => {
  const asked: string[] = [];
  const fetcher = (url: string) => {
    asked.push(url);
    return Promise.resolve(Response.json({}));
  };
  const api = new Api("token", () => undefined, fetcher, "http://here");
  await runs(api, "a/b", 200);
  await called(api, "street", "call_1");
  expect(asked).toEqual([
    "http://here/v1/projects/a%2Fb/functions/runs?limit=200",
    "http://here/v1/projects/street/functions/calls/call_1",
  ]);
});
