import { describe, expect, test } from "vitest";
import type { ListedItem, Problem, Selection } from "../api/types";
import {
  badQueryOf,
  countInWords,
  marked,
  named,
  riskInWords,
  saidBy,
  selectedInWords,
  standingOf,
  tagsFrom,
} from "./queries";

const PROBLEM: Problem = {
  type: "/problems/bad-query",
  title: "The query cannot be read",
  status: 422,
  detail: "at 1: found sorce, expected a field.",
  hint: "Did you mean source?",
  ids: { position: 0, found: "sorce" },
};

describe("a query that cannot be read", () => {
  test("is told with its place; other problems are no such thing", () => {
    expect(badQueryOf(PROBLEM)).toMatchObject({ position: 0, found: "sorce", hint: "Did you mean source?" });
    expect(badQueryOf({ ...PROBLEM, type: "/problems/forbidden" })).toBeNull();
    expect(badQueryOf({ ...PROBLEM, ids: {} })?.position).toBeNull();
  });

  test.each([
    ["sorce = a", 0, "sorce", ["", "sorce", " = a"]],
    ["risk >> 1", 6, "", ["risk >", ">", " 1"]],
    ["risk >", 6, "the end", ["risk >", "", ""]],
    ["tag = 🚲 orr x", 8, "orr", ["tag = 🚲 ", "orr", " x"]],
  ])("%s is marked at %i", (query, position, found, parts) => {
    const { before, wrong, after } = marked(query, { position, found }) ?? { before: "?", wrong: "?", after: "?" };
    expect([before, wrong, after]).toEqual(parts);
  });

  test("is not marked where no place is known", () => {
    expect(marked("x", { position: null, found: "" })).toBeNull();
  });
});

test("a count that was not finished says so", () => {
  expect(countInWords({ count: 1, more: false })).toBe("1 item");
  expect(countInWords({ count: 10_000, more: true })).toBe("more than 10,000 items");
});

test("tags are parted by commas, each once", () => {
  expect(tagsFrom(" night, rain ,,night")).toEqual(["night", "rain"]);
  expect(tagsFrom(" , ")).toEqual([]);
});

test("what is known of an item is told in a line", () => {
  const item = { truth_version: 2, work: "open", corrections: 1 } as ListedItem;
  expect(standingOf(item)).toBe("truth 2 · work open · 1 correction");
  expect(standingOf({ ...item, truth_version: 0, work: null, corrections: 0 })).toBe("no truth");
});

test("an entry of a history is told by its plain values", () => {
  const body = { model_id: "m1", risk: 0.123456, shapes: [1], note: "", audit: true };
  expect(saidBy({ body })).toBe("model m1 · risk 0.1235 · audit true");
});

test("people are named in it, other ids are short", () => {
  const ada = `tok_${"0".repeat(31)}1`;
  const body = { reviewer: ada, task_id: `task_${"0".repeat(26)}b5c6d7`, event: "task.reopened" };
  expect(saidBy({ body }, new Map([[ada, "ada"]]))).toBe("reviewer ada · task_…b5c6d7 · event task.reopened");
  expect(named("19", new Map())).toBe("19");
});

test("a risk says that it is one", () => {
  expect(riskInWords(0.504)).toBe("risk 50\u00a0%");
});

test.each([
  [2, 2, "2 images queued for review", "They are in the queue now."],
  [1, 5, "1 image queued for review", "There are no more that nobody has looked at."],
  [0, 5, "Nobody is asked", "There are no more that nobody has looked at."],
])("what came of asking people: %d of %d", (picked, budget, title, detail) => {
  const picks = Array.from({ length: picked }, () => ({})) as Selection["picks"];
  expect(selectedInWords({ picks, budget, notes: ["By chance."] } as Selection)).toEqual({
    title,
    detail,
    hint: "By chance.",
  });
});
