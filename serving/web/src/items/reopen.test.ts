import { expect, test } from "vitest";
import { Api } from "../api/client";
import { ProblemError } from "../api/problem";
import { reopen } from "./calls";
import { reopenedInWords } from "./queries";

function answering(answer: Response): { api: Api; asked: string[] } {
  const asked: string[] = [];
  const fetcher = (url: string, init?: RequestInit): Promise<Response> => {
    asked.push(`${init?.method} ${url} ${init?.body ?? "with no body"}`);
    return Promise.resolve(answer);
  };
  return { api: new Api("token", () => undefined, fetcher, "http://here"), asked };
}

test("an item is asked for again by its digest; no reason is taken, so none is sent", async () => {
  const { api, asked } = answering(Response.json({ task_ids: ["task_1", "task_2"] }));
  expect(await reopen(api, "night/street", "ab12")).toEqual({ task_ids: ["task_1", "task_2"] });
  expect(asked).toEqual(["POST http://here/v1/projects/night%2Fstreet/items/ab12/reopen with no body"]);
});

test("work that is open already is told with the service's hint", async () => {
  const problem = {
    type: "/problems/conflict",
    title: "Not possible now",
    status: 409,
    detail: "no task of this item is closed.",
    hint: "It is in the queue already.",
    ids: {},
  };
  const { api } = answering(Response.json(problem, { status: 409 }));
  const error = await reopen(api, "street", "ab12").catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(ProblemError);
  expect(error).toMatchObject({ problem: { hint: "It is in the queue already." } });
});

test("what came of it says how many tasks are open again", () => {
  expect(reopenedInWords({ task_ids: ["task_1"] })).toMatch(/^1 task is in the queue again/);
  expect(reopenedInWords({ task_ids: ["task_1", "task_2"] })).toMatch(/^2 tasks are in the queue again/);
});
