import { expect, test } from "vitest";
import {
  type Picture,
  NONE,
  cameInWords,
  chosenInWords,
  chosenWith,
  leftOutInWords,
  progressInWords,
  sinceQuery,
} from "./adding";
import type { Progress } from "./upload";

const picture = (path: string, size = 1): Picture => ({ file: new File(["x".repeat(size)], path), path });

const PROGRESS: Progress = {
  phase: "ended",
  total: 10,
  done: 10,
  added: 10,
  there: 0,
  predicted: 0,
  routed: 0,
  failures: [],
  waits: null,
  began: 0,
  before: 0,
};

const FAILURE = { path: "a.png", problem: { title: "", detail: "", hint: "" } };

test("images are told from other files by their names; hidden files are passed over", () => {
  const chosen = chosenWith(NONE, ["a/1.JPG", "b/2.webp", "a/.DS_Store", "notes.txt"].map((path) => picture(path)));
  expect(chosen.pictures.map(({ path }) => path)).toEqual(["a/1.JPG", "b/2.webp"]);
  expect(chosen.others).toEqual(["notes.txt"]);
  expect(leftOutInWords(chosen)).toMatch(/^notes.txt is no JPEG, PNG or WebP and is left out\. Convert/);
  expect(leftOutInWords(NONE)).toBe("");
});

test("a file that is chosen twice counts once, the later one; of the same name in another folder it is another", () => {
  const once = chosenWith(NONE, [picture("a/1.png", 5), picture("b/1.png", 7)]);
  const twice = chosenWith(once, [picture("a/1.png", 9)]);
  expect(chosenInWords(twice)).toBe("2 images, 16 B");
});

test("empty files are left out, and told as such", () => {
  const chosen = chosenWith(NONE, [picture("a/1.png", 0), picture("2.png"), picture("notes.txt", 0)]);
  expect(chosen.pictures.map(({ path }) => path)).toEqual(["2.png"]);
  expect(leftOutInWords(chosen)).toBe(
    "notes.txt is no JPEG, PNG or WebP and is left out. Convert other images first; videos go to Clips. " +
      "a/1.png is empty and is left out. Copy them again from where they come from.",
  );
});

test("of many files that are left out a few are named", () => {
  const chosen = chosenWith(NONE, Array.from({ length: 8 }, (_, number) => picture(`${number}.bmp`)));
  expect(leftOutInWords(chosen)).toMatch(/^0.bmp, 1.bmp, 2.bmp, 3.bmp, 4.bmp and 3 more are no /);
});

test.each([
  [{ done: 0 }, 5_000, "0 of 100 images"],
  [{ done: 50 }, 5_000, "50 of 100 images · 10 a second · about 5 s left"],
  [{ done: 10 }, 600_000, "10 of 100 images · 1.0 a minute · about 2 h left"],
  [{ done: 60, before: 50 }, 10_000, "60 of 100 images · 1.0 a second · about 40 s left"],
] as const)("how far it is, how fast and how long still: %o after %d ms", (changes, now, words) => {
  expect(progressInWords({ ...PROGRESS, total: 100, ...changes }, now)).toBe(words);
});

test.each([
  [{}, "10 added."],
  [{ added: 7, there: 3 }, "7 added, 3 there already."],
  [{ added: 4, done: 5, failures: [FAILURE] }, "4 added, 1 not taken, 5 not sent."],
  [{ predicted: 10, routed: 0 }, "10 added; 10 predicted, none goes to people."],
  [{ predicted: 10, routed: 1 }, "10 added; 10 predicted, 1 goes to people."],
])("what came of it: %o", (changes, words) => {
  expect(cameInWords({ ...PROGRESS, ...changes })).toBe(words);
});

test("what was added is a query by when, in whole seconds of UTC", () => {
  expect(sinceQuery(Date.UTC(2026, 0, 31, 12, 0, 1, 900))).toBe("created_at >= 2026-01-31T12:00:01Z");
});
