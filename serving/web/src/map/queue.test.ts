import { expect, test } from "vitest";
import type { SelectionBody } from "../api/types";
import { queued } from "./queue";

/** Picks as like-this does: for each item in turn itself where it is free, else a neighbour. */
class Selector {
  readonly tasks: string[] = [];
  readonly asked: SelectionBody[] = [];

  constructor(private readonly taken: readonly string[]) {}

  select = async (_project: string, body: SelectionBody) => {
    this.asked.push(body);
    const items = (body.like ?? []).map((item) => (this.taken.includes(item) ? `neighbour of ${item}` : item));
    const picks = items.slice(0, body.budget);
    if (!body.dry_run) this.tasks.push(...picks);
    return { picks: picks.map((item_digest) => ({ item_digest })) };
  };
}

test("those that nobody has looked at are queued, and nothing is drawn at random beside them", async () => {
  const selector = new Selector([]);
  expect(await queued(selector, "digits", ["a", "b"])).toMatchObject({ title: "2 queued for review" });
  expect(selector.tasks).toEqual(["a", "b"]);
  expect(selector.asked.every((body) => body.random_share === 0)).toBe(true);
});

test("where somebody was quicker, no neighbour is queued in its place", async () => {
  const selector = new Selector(["b"]);
  const told = await queued(selector, "digits", ["a", "b", "c"]);
  expect(selector.tasks).toEqual(["a", "c"]);
  expect(told).toMatchObject({ title: "2 queued for review", detail: "1 have a task or their truth by now." });
});

test("where all are taken, nothing is asked for", async () => {
  const selector = new Selector(["a"]);
  expect(await queued(selector, "digits", ["a"])).toMatchObject({ title: "Nothing was queued" });
  expect(selector.tasks).toEqual([]);
});
