import { expect, test } from "vitest";
import { type Answer, due, hurried, isEntry, postponed, queued, revived, sending, settled, wait } from "./outbox";

const answer: Answer = { kind: "submit", shapes: [], note: "" };
const entry = (taskId: string) => ({ taskId, projectId: "p", epoch: 1, answer });

test("an answer is due at once, and not while it is being sent", () => {
  const outbox = queued([], entry("t1"), 100);
  expect(due(outbox, 100).map((each) => each.taskId)).toEqual(["t1"]);
  expect(due(sending(outbox, "t1"), 100)).toEqual([]);
});

test("it waits longer after each failure, up to half a minute", () => {
  expect([1, 2, 3, 4, 5, 6, 7].map((attempts) => wait(attempts, null))).toEqual([
    1000, 2000, 4000, 8000, 16_000, 30_000, 30_000,
  ]);
  const outbox = postponed(sending(queued([], entry("t1"), 100), "t1"), "t1", 500);
  expect(due(outbox, 1499)).toEqual([]);
  expect(due(outbox, 1500)).toHaveLength(1);
});

test("the service may say how long to wait, within reason", () => {
  expect(wait(1, 7)).toBe(7000);
  expect(wait(1, 86_400)).toBe(30_000);
});

test("when the connection is back everything that waits is due", () => {
  const outbox = postponed(sending(queued([], entry("t1"), 100), "t1"), "t1", 500);
  expect(due(hurried(outbox, 600), 600)).toHaveLength(1);
});

test("after a reload what was under way is sent again, oldest first, its attempts remembered", () => {
  const outbox = sending(queued(queued([], entry("t1"), 100), entry("t2"), 200), "t2");
  const again = revived([...outbox].reverse(), 900);
  expect(due(again, 900).map((each) => [each.taskId, each.attempts])).toEqual([
    ["t1", 0],
    ["t2", 1],
  ]);
});

test("a task has one answer on its way: the newest", () => {
  const outbox = queued(queued([], entry("t1"), 100), { ...entry("t1"), epoch: 2 }, 200);
  expect(outbox.map((each) => each.epoch)).toEqual([2]);
});

test("what is settled is gone", () => {
  expect(settled(queued([], entry("t1"), 100), "t1")).toEqual([]);
});

test("an entry survives JSON; anything else is not one", () => {
  const [kept] = queued([], entry("t1"), 100);
  expect(isEntry(JSON.parse(JSON.stringify(kept)))).toBe(true);
  expect(isEntry({ taskId: "t1" })).toBe(false);
  expect(isEntry(null)).toBe(false);
});
