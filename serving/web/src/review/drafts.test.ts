import { expect, test } from "vitest";
import { MemoryStorage } from "../testing/memoryStorage";
import { type Draft, Drafts, draftFrom } from "./drafts";
import { boxed } from "./outline";
import { bare } from "./shapes";

const draft = (savedAt: number): Draft => ({
  shapes: [bare("d1", "7", boxed([1, 2, 3, 4]))],
  note: "blurred",
  savedAt,
});

test("a draft outlives the page that saved it", () => {
  const storage = new MemoryStorage();
  new Drafts(storage, "ada").save("t1", draft(5));
  expect(new Drafts(storage, "ada").load("t1")).toEqual(draft(5));
});

test("what is outside stays so; of drafts from before that could be said nothing is", () => {
  const [shape] = draft(5).shapes;
  const kept = draftFrom({ ...draft(5), shapes: [{ ...shape, outside: true }, { ...shape, outside: undefined }] });
  expect(kept?.shapes.map(({ outside }) => outside)).toEqual([true, false]);
});

test("another person at the same browser does not see it", () => {
  const storage = new MemoryStorage();
  new Drafts(storage, "ada").save("t1", draft(5));
  expect(new Drafts(storage, "bob").load("t1")).toBeNull();
});

test.each(["not json", "null", "[]", '{"shapes":1}', '{"shapes":[{"id":"a"}],"note":"","savedAt":1}'])(
  "a record that cannot be used counts as none: %s",
  (text) => {
    const storage = new MemoryStorage();
    storage.setItem("askance/draft/ada/t1", text);
    expect(new Drafts(storage, "ada").load("t1")).toBeNull();
  },
);

test("a browser that refuses to store is reported, not thrown", () => {
  const storage = new MemoryStorage();
  storage.full = true;
  expect(new Drafts(storage, "ada").save("t1", draft(5))).toBe(false);
});

test("drafts of long ago and unreadable ones are forgotten, fresh ones kept", () => {
  const storage = new MemoryStorage();
  const drafts = new Drafts(storage, "ada");
  const day = 24 * 3600 * 1000;
  drafts.save("old", draft(0));
  drafts.save("fresh", draft(39 * day));
  storage.setItem("askance/draft/ada/broken", "{");
  drafts.prune(40 * day);
  expect(drafts.load("old")).toBeNull();
  expect(drafts.load("fresh")).not.toBeNull();
  expect(storage.length).toBe(1);
});

test("a draft of a page that knew only boxes is read as one", () => {
  const old = { shapes: [{ id: "d1", label: "7", box: [1, 2, 3, 4], proposed: null }], note: "blurred", savedAt: 5 };
  expect(draftFrom(old)).toEqual(draft(5));
});

test.each([
  { type: "polygon", points: [] },
  { type: "star", points: [{ x: 1, y: 2 }] },
  { type: "point", points: [{ x: 1, y: null }] },
  { type: "box", links: [{ type: "on" }] },
])("a shape that cannot be drawn makes it none: %o", (wrong) => {
  const shape = { ...bare("d1", "7", boxed([1, 2, 3, 4])), ...wrong };
  expect(draftFrom({ shapes: [shape], note: "", savedAt: 1 })).toBeNull();
});
