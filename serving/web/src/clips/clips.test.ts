import { expect, test } from "vitest";
import { Api } from "../api/client";
import { NetworkError, ProblemError } from "../api/problem";
import type { ImportedClip, ListedItem } from "../api/types";
import { groupsAfter, makeTasks, upload } from "./calls";
import { type Chosen, asQuery, groupFrom, importedInWords, tasksInWords, uploadProblem, windowOf } from "./clips";

const CHOSEN: Chosen = { name: " drive & back ", source: "", taking: "all", number: "5" };

const CLIP: ImportedClip = {
  id: "clip_1",
  kind: "clip",
  name: "drive",
  frames: 1200,
  complete: true,
  repeats: 0,
  notes: [],
  meta: {},
  created_at: "2026-01-01T00:00:00Z",
  added: 1200,
};

function answering(answer: unknown) {
  const asked: { method: string | undefined; url: string; body: unknown; headers: unknown }[] = [];
  const fetcher = (url: string, init?: RequestInit) => {
    asked.push({ method: init?.method, url, body: init?.body, headers: init?.headers });
    return Promise.resolve(Response.json(answer));
  };
  return { api: new Api("token", () => undefined, fetcher, "http://here"), asked };
}

test.each([
  [CHOSEN, "name=drive+%26+back"],
  [{ ...CHOSEN, name: "d", taking: "every" as const }, "name=d&every=5"],
  [{ ...CHOSEN, name: "d", taking: "fps" as const, number: "0.5", source: " cam " }, "name=d&fps=0.5&source=cam"],
])("what is chosen is asked for as the service takes it", (chosen, query) => {
  expect(asQuery(chosen)).toBe(query);
});

test("a video goes as it is, without being read as JSON or a document", async () => {
  const { api, asked } = answering(CLIP);
  const video = new Blob(["frames"], { type: "video/mp4" });
  expect((await upload(api, "street", video, { ...CHOSEN, name: "d" })).added).toBe(1200);
  const [sent] = asked;
  expect([sent?.method, sent?.url, sent?.headers]).toEqual([
    "POST",
    "http://here/v1/projects/street/clips?name=d",
    { Authorization: "Bearer token" },
  ]);
  expect(sent?.body).toBe(video);
});

test("groups come page by page, and tasks are asked for with a window or none", async () => {
  const { api, asked } = answering({ groups: [], next: null, task_ids: [], made: true });
  await groupsAfter(api, "street", null);
  await groupsAfter(api, "street", "clip_1");
  await makeTasks(api, "street", "clip_1", windowOf(" 200 "));
  await makeTasks(api, "street", "clip_1", windowOf(""));
  const at = "http://here/v1/projects/street/groups";
  expect(asked.map(({ method, url, body }) => [method, url, body])).toEqual([
    ["GET", at, undefined],
    ["GET", `${at}?after=clip_1`, undefined],
    ["POST", `${at}/clip_1/tasks`, '{"window":200}'],
    ["POST", `${at}/clip_1/tasks`, '{"window":null}'],
  ]);
});

test.each([
  [CLIP, "drive: 1,200 frames added, 1,200 in all."],
  [{ ...CLIP, added: 0 }, "drive: nothing new, 1,200 in all."],
  [{ ...CLIP, added: 1, complete: false }, "drive: 1 frame added, 1,200 in all; it is not complete."],
])("what an import brought is told", (imported, words) => {
  expect(importedInWords(imported)).toBe(words);
});

test("an upload that broke off is to be sent again; else the service says what to do", () => {
  expect(uploadProblem(new NetworkError()).hint).toContain("Send the same file again");
  const problem = { type: "/problems/bad-video", title: "T", status: 422, detail: "D", hint: "H", ids: {} };
  expect(uploadProblem(new ProblemError(problem))).toEqual({ title: "T", detail: "D", hint: "H" });
});

test("tasks that were there are not told as made", () => {
  expect(tasksInWords({ made: true, task_ids: ["a"] })).toBe("1 task made");
  expect(tasksInWords({ made: false, task_ids: ["a", "b"] })).toBe("2 tasks there already");
});

const item = (digest: string, captured_at: string | null, created_at = "2026-05-02T00:00:00Z") =>
  ({ digest, captured_at, created_at }) as ListedItem;
const A = item("a", "2026-05-01T12:00:02Z");
const B = item("b", "2026-05-01T12:00:00.500Z");

test("chosen items become frames by when they were taken, with times from the first", () => {
  expect(groupFrom([A, B], " belt ", "clip", "time")).toEqual({
    kind: "clip",
    name: "belt",
    frames: [{ item_digest: "b", time: 0 }, { item_digest: "a", time: 1.5 }],
  });
});

test("without times where they are not known of all, or do not rise", () => {
  const came = item("c", null, "2026-05-01T00:00:00Z");
  expect(groupFrom([A, came], "n", "any", "time").frames).toEqual([{ item_digest: "c" }, { item_digest: "a" }]);
  expect(groupFrom([A, B], "n", "any", "list").frames).toEqual([{ item_digest: "a" }, { item_digest: "b" }]);
});
