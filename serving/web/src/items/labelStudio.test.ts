import { expect, test } from "vitest";
import { Api } from "../api/client";
import type { Told } from "../api/types";
import {
  outcomeOf,
  pull,
  push,
  pushBodyOf,
  pushedInWords,
  release,
  toldInWords,
  usualTitle,
  waitingIn,
} from "./labelStudio";

const told = (what: Told["what"], why = ""): Told => ({ what, why, place: 1, remote: 7, task_id: "task_1", author: "" });

/** Answers the calls in this order, and keeps what they asked. */
function answering(...answers: unknown[]): { api: Api; asked: unknown[] } {
  const asked: unknown[] = [];
  const api = new Api(
    "token",
    () => undefined,
    (_input, init) => {
      asked.push(JSON.parse(String(init?.body)));
      return Promise.resolve(Response.json(answers[asked.length - 1]));
    },
    "http://here",
  );
  return { api, asked };
}

const TYPED = { title: "Street", query: "", count: "100", stage: "" } as const;

test("an empty query and any stage are not asked for", () => {
  expect(pushBodyOf(TYPED)).toEqual({ title: "Street", count: 100 });
  expect(pushBodyOf({ ...TYPED, query: " risk > 0.6 ", stage: "audit" })).toEqual({
    title: "Street",
    count: 100,
    query: "risk > 0.6",
    stage: "audit",
  });
});

test.each([
  { title: " ab " },
  { title: "x".repeat(51) },
  { count: "0" },
  { count: "1.5" },
  { count: "" },
  { count: "10001" },
])("what the service would refuse is not sent: %o", (changes) => {
  expect(pushBodyOf({ ...TYPED, ...changes })).toBeNull();
});

test("the usual title is one that Label Studio takes", () => {
  expect(pushBodyOf({ ...TYPED, title: usualTitle("p".repeat(64)) })?.title).toHaveLength(50);
});

test("a push goes on until there is no more to send, and tells of all of it", async () => {
  const page = { address: "https://there/projects/7", waiting: 3, in_hand: 0 };
  const problem = { task_id: "task_9", remote: null, why: "too large" };
  const { api, asked } = answering(
    { ...page, sent: [{}, {}], problems: [problem], more: true },
    { ...page, sent: [{}], problems: [], more: false },
  );
  const steps: string[] = [];
  const done = await push(api, "p", { title: "Street", count: 3 }, (words) => steps.push(words));
  expect(asked).toHaveLength(2);
  expect(steps).toEqual(["2 tasks sent…"]);
  expect(done).toEqual({
    words: "3 tasks sent; 3 wait for an answer there.",
    address: page.address,
    problems: [problem],
  });
});

test("what another push holds is said", () => {
  expect(pushedInWords(0, { waiting: 2, in_hand: 2 })).toContain("2 are in the hand of another push");
});

test("a pull follows the pages, and what cannot be taken is told apart from what was", async () => {
  const { api, asked } = answering(
    { told: [told("answered"), told("problem", "a brush")], next: "here" },
    { told: [told("answered"), told("gone")], next: null },
  );
  const done = await pull(api, "p", true, () => undefined);
  expect(asked).toEqual([
    { after: null, take_edits: true },
    { after: "here", take_edits: true },
  ]);
  expect(done.words).toBe("2 answered, 1 problem, 1 gone.");
  expect(done.problems.map(({ why }) => why)).toEqual(["problem: a brush", "gone"]);
});

test("all that waits there is called back, in as many calls as it takes", async () => {
  const { api, asked } = answering({ told: [told("released")], more: true }, { told: [told("released")], more: false });
  expect((await release(api, "p", () => undefined)).words).toBe("2 released.");
  expect(asked).toEqual([{ tasks: null }, { tasks: null }]);
});

test("what is being sent waits there too, in all places", () => {
  const places = [
    { address: "a", counts: { out: 2, answered: 5 } },
    { address: "b", counts: { sending: 1 } },
  ];
  expect(waitingIn({ places, problems: [] })).toBe(3);
});

test("nothing is said to be nothing", () => {
  expect(toldInWords([])).toBe("");
  expect(outcomeOf([], "Nothing new.").words).toBe("Nothing new.");
});
