import { expect, test } from "vitest";
import type { Imported } from "../api/types";
import { AS_IT_IS, exportInWords, importedInWords, lossesInWords, queryOf, remarkInWords } from "./datasets";

const IMPORTED: Imported = {
  project_id: "p",
  format: "coco",
  created: false,
  labels: ["cat"],
  imported: 12,
  updated: 0,
  unchanged: 0,
  boxes: 40,
  skipped_counts: {},
  skipped: [],
  repaired: [],
  skipped_total: 0,
  repaired_total: 0,
};

test("only what differs from the data set's own word is asked for", () => {
  expect(queryOf(AS_IT_IS)).toBe("");
  expect(queryOf({ format: "coco", split: "val", addLabels: true, strict: true })).toBe(
    "?format=coco&split=val&add_labels=true&strict=true",
  );
});

test("what an import did is told, and what it did not only where there is something", () => {
  expect(importedInWords(IMPORTED)).toBe("12 images are new; 40 shapes.");
  expect(importedInWords({ ...IMPORTED, imported: 1, updated: 2, unchanged: 1, boxes: 1 })).toBe(
    "1 image is new, 2 got other ground truth, 1 was there already; 1 shape.",
  );
  expect(lossesInWords(IMPORTED)).toBe("");
  expect(lossesInWords({ ...IMPORTED, skipped_counts: { box: 2, image: 1 }, repaired_total: 1 })).toBe(
    "Left out: 2 × box, 1 × image. Repaired: 1 box was clipped to the image.",
  );
  expect(remarkInWords({ path: "a.png", what: "box", why: "it has no area.", count: 3 })).toBe("a.png: box (3), it has no area.");
});

test("an export says what its format cannot hold", () => {
  const exported = { project_id: "p", format: "yolo" as const, snapshot: "s", images: 2, boxes: 3, dropped: 0 };
  expect(exportInWords({ ...exported, splits: { train: 2, val: 0 }, left_out: { attributes: 4 } })).toEqual({
    holds: "2 images with ground truth (2 train), 3 shapes.",
    lacks: "The format has no place for: 4 × attributes.",
  });
  expect(exportInWords({ ...exported, splits: {}, left_out: {} }).lacks).toBe("");
});
