import { expect, test } from "vitest";
import { alphaInWords, judges, mistakesOf, neededOf, pairsOf, reasonsOf, sharedOf, whyOf, wordsIn } from "./reviewers";

test("a reason by hand comes before what golden items say", () => {
  const reasons = [{ code: "below", detail: "Recall is surely below 80 %." }];
  expect(whyOf({ why: "on leave", reasons })).toBe("on leave");
  expect(whyOf({ why: "", reasons })).toBe("Recall is surely below 80 %.");
});

test.each([
  ["qualified" as const, 0, ""],
  ["new" as const, 1, "1 golden item more, if all goes well"],
  ["paused" as const, 12, "12 golden items more, if all goes well"],
  ["paused" as const, null, "going on like this is not enough"],
  ["new" as const, 0, ""],
])("somebody %s with %s more to go: %s", (standing, more, words) => {
  expect(neededOf({ standing, more })).toBe(words);
});

test("of a judge it is verdicts that are needed", () => {
  expect(neededOf({ standing: "paused", more: 2 }, "verdict")).toBe("2 verdicts more, if all goes well");
});

test("who never judged a known answer is told nothing of, unless by hand", () => {
  const rate = { value: 1, low: 0.5, high: 1 };
  const judging = { standing: "qualified" as const, since: null, why: "", reasons: [], items: 0, more: 0, accepts: null, catches: null };
  expect(judges({ judging })).toBe(false);
  expect(judges({ judging: { ...judging, accepts: rate, catches: rate } })).toBe(true);
  expect(judges({ judging: { ...judging, standing: "paused", why: "errs" } })).toBe(true);
});

test("what a paused person answered with others is told of where there is any", () => {
  expect(sharedOf({ shared: 0 })).toBe("");
  expect(sharedOf({ shared: 1 })).toBe("1 item answered together with others, not asked for again.");
});

test("what is right is no mistake; the most frequent mistake comes first", () => {
  const confusion = [
    { true: "cell", given: "cell", count: 90 },
    { true: "", given: "cell", count: 2 },
    { true: "cell", given: "", count: 7 },
  ];
  expect(mistakesOf({ confusion }).map((cell) => cell.count)).toEqual([7, 2]);
});

test.each([
  [null, "cannot be told"],
  [0.81, "reliable"],
  [0.7, "good enough for careful conclusions"],
  [-0.1, "too low to rely on"],
])("an alpha of %s is %s", (alpha, words) => {
  expect(alphaInWords(alpha)).toBe(words);
});

test("pairs have names, and those that agree least come first", () => {
  const pairs = [
    { reviewers: ["a", "b"], works: 3, f1: 0.9, iou: 0.8 },
    { reviewers: ["a", "gone"], works: 3, f1: 0.4, iou: null },
  ];
  const people = [
    { token_id: "a", name: "ada" },
    { token_id: "b", name: "bob" },
  ];
  expect(pairsOf({ pairs }, people).map((pair) => pair.names)).toEqual(["ada and gone", "ada and bob"]);
});

test("ids of items are taken however they were pasted, each once", () => {
  expect(wordsIn("ab12\ncd34, ab12;  ef56\n")).toEqual(["ab12", "cd34", "ef56"]);
  expect(wordsIn(" \n")).toEqual([]);
});

test("every id that was refused is named under its reason", () => {
  const none = "There is no such item.";
  const refused = [
    { id: "ab12", reason: none },
    { id: "cd34", reason: "It has no ground truth." },
    { id: "ef56", reason: none },
  ];
  expect(reasonsOf(refused)).toEqual([
    { reason: none, ids: ["ab12", "ef56"] },
    { reason: "It has no ground truth.", ids: ["cd34"] },
  ]);
});
