import { expect, test } from "vitest";
import type { Strategies } from "../api/types";
import { FIRST, LIKE_THIS, bodyOf, choicesOf, mixInWords, narrowedInWords, sharesOf } from "./wish";

const mix = (...parts: (readonly [string, string])[]) => parts.map(([strategy, share]) => ({ strategy, share }));

test("what is left as it is comes from the settings", () => {
  expect(bodyOf(FIRST)).toEqual({ budget: 50 });
});

test("one strategy needs no share, several have theirs", () => {
  expect(bodyOf({ ...FIRST, parts: mix(["hybrid", ""]) })).toEqual({ budget: 50, strategies: { hybrid: 1 } });
  const parts = mix(["hybrid", "60"], ["anomaly", "20"], ["random", "20"]);
  expect(bodyOf({ ...FIRST, parts })).toEqual({ budget: 50, strategies: { hybrid: 60, anomaly: 20, random: 20 } });
});

test("everything that is typed is sent in the service's units", () => {
  const wish = { ...FIRST, budget: "7", query: " risk > 0.6 ", random: "0", seed: "3", noDuplicates: true };
  expect(bodyOf(wish)).toEqual({ budget: 7, query: "risk > 0.6", random_share: 0, seed: 3, no_duplicates: true });
});

test("what items are to resemble goes with like-this alone", () => {
  const alike = { ...FIRST, parts: mix([LIKE_THIS, ""]), failures: "20", ambiguous: "5" };
  expect(bodyOf(alike)).toEqual({ budget: 50, strategies: { "like-this": 1 }, failures: 20, ambiguous: 5 });
  expect(bodyOf({ ...alike, parts: FIRST.parts })).toEqual({ budget: 50 });
});

test.each([
  ["How many", { ...FIRST, budget: "0" }],
  ["How many", { ...FIRST, budget: "1.5" }],
  ["How many", { ...FIRST, budget: "20001" }],
  ["once", { ...FIRST, parts: mix(["hybrid", "1"], ["hybrid", "2"]) }],
  ["need a strategy each", { ...FIRST, parts: mix(["", "1"], ["hybrid", "2"]) }],
  ["above 0", { ...FIRST, parts: mix(["random", "0"], ["hybrid", "2"]) }],
  ["At random", { ...FIRST, random: "101" }],
  ["Seed", { ...FIRST, seed: "-1" }],
  ["To resemble", { ...FIRST, parts: mix([LIKE_THIS, ""]), failures: "0", ambiguous: "0" }],
])("what cannot be sent is told: %s", (words, wish) => {
  expect(bodyOf(wish)).toContain(words);
});

test("a mix is told by its shares, the largest first", () => {
  expect(mixInWords({ random: 0.15, hybrid: 0.85 })).toBe("85% hybrid, 15% random");
  expect(mixInWords(sharesOf({ "balanced-herding": 3 }))).toBe("balanced-herding");
  expect(narrowedInWords({ source: "camera-3", query: "risk > 0.6" })).toBe("source = camera-3, risk > 0.6");
});

test("without a model there is only what needs none", () => {
  const told: Strategies = {
    strategies: [
      { name: "herding", takes: "what covers most", without_model: true },
      { name: "hybrid", takes: "risk × distance", without_model: false },
    ],
    default: { hybrid: 1 },
    default_without_model: { herding: 2 },
  };
  expect(choicesOf(told, false).map(({ name }) => name)).toEqual(["", "herding"]);
  expect(choicesOf(told, true).map(({ name }) => name)).toEqual(["", "herding", "hybrid", LIKE_THIS]);
  expect(choicesOf(told, false)[0]?.takes).toBe("as configured: herding");
});
