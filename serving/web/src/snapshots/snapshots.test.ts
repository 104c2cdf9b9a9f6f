import { expect, test } from "vitest";
import { Api } from "../api/client";
import type { Cycle, Evaluation, Project, SnapshotDiff, SnapshotRow } from "../api/types";
import { slicesKnown } from "./calls";
import { type Known, championIn, freeViews, marginTyped, rowsOf, withSlice, without } from "./slices";
import { bySnapshot, changesOf, furtherOf, itemsOf, placeOfDiff, placed, splitsInWords } from "./snapshots";

const row = (digest: string, cycle: string, images: SnapshotRow["images"] = null): SnapshotRow => ({
  digest, cycle_id: cycle, created_at: `2026-05-0${cycle}T00:00:00Z`, images, boxes: null, labels: null,
});

test("a snapshot of several cycles is one row, with the newest of them first", () => {
  const found = bySnapshot([row("b", "3"), row("a", "2"), row("b", "1")]);
  expect(found.map(({ digest, cycles }) => [digest, cycles])).toEqual([["b", ["3", "1"]], ["a", ["2"]]]);
  expect(found[0]?.at).toBe("2026-05-03T00:00:00Z");
});

test("sides without images are left out, and what could not be read is not told as none", () => {
  const known = row("a", "1", { train: 1200, val: 0, golden: 30 });
  expect([itemsOf(known), splitsInWords(known)]).toEqual(["1,230", "1,200 train, 30 golden"]);
  expect([itemsOf(row("a", "1")), splitsInWords(row("a", "1"))]).toEqual(["–", "–"]);
});

test("an address names one snapshot or two", () => {
  expect(placed("ab")).toEqual(["ab"]);
  expect(placed(placeOfDiff("ab", "cd"))).toEqual(["ab", "cd"]);
});

test("what changed is counted in full, and says how many are not listed", () => {
  const diff: SnapshotDiff = {
    equal: false, added_count: 3, removed_count: 0, changed_count: 1, moved_count: 1, added: ["x", "y"], removed: [],
    changed: [{ item: "z", before: 1, after: 4 }], moved: [{ item: "w", before: "train", after: "golden" }],
    shapes: {}, images: {},
  };
  const [added, removed, changed, moved] = changesOf(diff);
  expect(added && [added.count, furtherOf(added)]).toEqual([3, "and 1 more"]);
  expect(removed && furtherOf(removed)).toBe("");
  expect(changed?.items).toEqual([{ item: "z", how: "version 1 → 4" }]);
  expect(moved?.items).toEqual([{ item: "w", how: "train → golden" }]);
});

const cycle = (id: string, champion: string | null, candidate: string | null, decision: Cycle["decision"] = { clauses: [] }) =>
  ({ id, champion_id: champion, candidate_id: candidate, decision }) as unknown as Cycle;

test("the champion was judged last as the candidate that became it, or as the one that stayed", () => {
  const cycles = [cycle("4", "m2", null, {}), cycle("3", "m2", "m3"), cycle("2", "m1", "m2")];
  expect(championIn(cycles, "m2")).toMatchObject({ cycle: { id: "3" }, as: "champion" });
  expect(championIn(cycles, "m3")).toMatchObject({ cycle: { id: "3" }, as: "candidate" });
  expect(championIn(cycles, "m9")).toBeNull();
  expect(championIn(cycles, null)).toBeNull();
});

const view = (name: string) => ({ name, query: `source = ${name}`, sort: "-created_at", actor: "ada", saved_at: "" });
const SLICES = {
  margin: 0.02,
  slices: [
    { view: "gone", margin: null, query: null },
    { view: "new", margin: null, query: "source = new" },
    { view: "night", margin: 0.05, query: "source = night" },
  ],
};
const NIGHT = { kind: "view", name: "night", images: 40, note: "", figures: { before: { ap: 0.5 }, after: { ap: 0.75 } } };
const known = (as: "champion" | "candidate"): Known => ({
  slices: SLICES,
  views: [view("new"), view("night"), view("other")] as unknown as Known["views"],
  counts: new Map([["night", { count: 10_000, more: true }], ["new", null]]),
  judged: { cycle: cycle("1", "a", "b"), as, figures: { slices: [NIGHT] } as unknown as Evaluation },
});

test("of each slice what is known, and why the rest is not", () => {
  const [gone, fresh, night] = rowsOf(known("candidate"));
  expect(gone).toMatchObject({ query: null, items: "–", figure: null, note: "the view was removed", usual: true });
  expect(fresh).toMatchObject({ items: "–", note: "its query cannot be read any more", margin: 0.02 });
  expect(night).toMatchObject({ items: "10,000 or more", judged: "40", figure: 0.75, margin: 0.05, usual: false });
  expect(rowsOf(known("champion"))[2]?.figure).toBe(0.5);
});

test("slices are sent as a whole, those that stay with their margins", () => {
  expect(without(SLICES, "gone")).toEqual({
    slices: [{ view: "new", margin: null }, { view: "night", margin: 0.05 }],
  });
  expect(withSlice(SLICES, "other", 0.1).slices.at(-1)).toEqual({ view: "other", margin: 0.1 });
  expect(freeViews(known("champion")).map(({ name }) => name)).toEqual(["other"]);
});

test.each([["", null], [" ", null], ["0.05", 0.05], ["0,05", 0.05], ["1", undefined], ["-0.1", undefined], ["x", undefined]])(
  "a margin that was typed: %j",
  (text, margin) => {
    expect(marginTyped(text)).toBe(margin);
  },
);

test("only slices' views are counted, and no evaluation is asked for where the champion was not judged", async () => {
  const asked: string[] = [];
  const answers: Record<string, unknown> = {
    slices: SLICES, views: { views: known("champion").views }, cycles: { cycles: [] }, items: { items: [], count: 7, more: false },
  };
  const answer = (address: string) => {
    const { pathname, searchParams } = new URL(address);
    const name = pathname.split("/").at(-1) ?? "";
    asked.push(name === "items" ? `items ${searchParams.get("q") ?? ""}` : name);
    return Promise.resolve(Response.json(answers[name]));
  };
  const api = new Api("token", () => undefined, answer, "http://here");
  const found = await slicesKnown(api, { id: "p", champion_id: "m1" } as Project);
  expect(asked.sort()).toEqual(["cycles", "items source = new", "items source = night", "slices", "views"]);
  expect(found.counts.get("night")).toEqual({ count: 7, more: false });
  expect(found.judged).toBeNull();
});
