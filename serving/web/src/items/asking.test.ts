import { expect, test } from "vitest";
import { askedInWords } from "./asking";

test("what came of asking people, with why some were left out", () => {
  expect(askedInWords({ items: ["a", "b"], left: [] })).toMatchObject({
    title: "People are asked for 2 items",
    hint: "",
  });
  const left = ["b", "c", "d"].map((item_digest, number) => ({ item_digest, why: number < 2 ? "Held." : "Gone." }));
  const { title, hint } = askedInWords({ items: [], left });
  expect([title, hint]).toEqual(["Nobody is asked", "2 items left out: Held. 1 item left out: Gone."]);
});
