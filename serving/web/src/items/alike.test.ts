import { expect, test } from "vitest";
import type { ListedItem } from "../api/types";
import { type Alike, freeOf, oneOfEach, similarityInWords } from "./alike";

const one = (digest: string, item: Partial<ListedItem> | null): Alike => ({
  digest,
  similarity: 1,
  found: null,
  item: item as ListedItem | null,
});

test("of each item the box that is most alike is shown, in the order of how alike they are", () => {
  const found = [["a", 0], ["b", 0], ["a", 1], ["c", 0], ["b", 1]] as const;
  const shown = oneOfEach(found.map(([digest, number]) => ({ digest, number })));
  expect(shown.map(({ digest, number }) => `${digest}${number}`)).toEqual(["a0", "b0", "c0"]);
});

test("only what nobody has looked at can be queued", () => {
  const nobody = { work: null, truth_version: null };
  const found = [
    one("a", nobody),
    one("b", { work: "open", truth_version: null }),
    one("c", { work: null, truth_version: 2 }),
    one("d", null),
    one("e", { work: null, truth_version: 0 }),
  ];
  expect(freeOf(found)).toEqual(["a", "e"]);
});

test("how alike is told with two digits", () => {
  expect(similarityInWords(0.9712)).toBe("0.97");
  expect(similarityInWords(-0.1)).toBe("−0.10");
});
