import { expect, test } from "vitest";
import { Api } from "../api/client";
import { NetworkError, ProblemError } from "../api/problem";
import type { Problem, Recipe, RecipeOutcome } from "../api/types";
import { check, save } from "./calls";
import { changeInWords, changes, documentOf, refusalOf, savedInWords } from "./document";
import { attributeInWords, boundsInWords, linkInWords, ruleInWords } from "./words";

const RECIPE: Recipe = {
  version: 3,
  labels: [
    {
      name: "person",
      color: "#e69f00",
      key: "",
      geometry: "box",
      attributes: [
        { name: "hand", type: "select", options: ["left", "right"], required: true, min: null, default: null },
      ],
      formerly: [],
    },
  ],
  links: [],
  rules: [{ id: "few", kind: "count", label: "person", min: 0, max: 5, severity: "warning" }],
  guidelines: "Draw what you see.",
};

const OUTCOME: RecipeOutcome = {
  recipe: { ...RECIPE, version: 4 },
  saved: true,
  change: {
    added: ["dog"], removed: ["cat"], renamed: { man: "person" }, redrawn: ["field"], attributes: ["person"],
    links: false, rules: true, guidelines: false,
  },
  consequences: [],
  moved: 1, relabelled: 1200, dropped: 0,
}; // prettier-ignore

test("a document says what the recipe says, without what is not given, and has places for what a change needs", () => {
  expect(JSON.parse(documentOf(RECIPE))).toEqual({
    version: 3,
    labels: [
      {
        name: "person",
        color: "#e69f00",
        key: "",
        geometry: "box",
        attributes: [{ name: "hand", type: "select", options: ["left", "right"], required: true }],
      },
    ],
    links: [],
    rules: [{ id: "few", kind: "count", label: "person", min: 0, max: 5, severity: "warning" }],
    guidelines: "Draw what you see.",
    renames: {},
    migrate: { open_tasks: null, ground_truth: null },
  });
});

test("a document goes as it was written, YAML too, and checking changes nothing", async () => {
  const asked: unknown[] = [];
  const fetcher = (url: string, init?: RequestInit) => {
    asked.push([url, init?.body, (init?.headers as Record<string, string>)["Content-Type"]]);
    return Promise.resolve(Response.json(OUTCOME));
  };
  const api = new Api("token", () => undefined, fetcher, "http://here");
  await check(api, "street", "labels: [car]  # all");
  await save(api, "street", "labels: [car]");
  expect(asked).toEqual([
    ["http://here/v1/projects/street/recipe?dry_run=true", "labels: [car]  # all", "application/yaml"],
    ["http://here/v1/projects/street/recipe", "labels: [car]", "application/yaml"],
  ]);
});

const problem = (ids: NonNullable<Problem["ids"]>): ProblemError =>
  new ProblemError({ type: "/problems/bad-recipe", title: "T", status: 422, detail: "D", hint: "H", ids });

test("each flaw is told with its place; other problems have none", () => {
  const flaws = [
    { path: "labels[0].color", problem: "no colour", hint: "Write #rrggbb." },
    { path: "", problem: "cannot be read", hint: "Send JSON." },
  ];
  expect(refusalOf(problem({ flaws }))).toEqual({ title: "T", detail: "D", hint: "H", flaws });
  expect(refusalOf(problem({ version: 4 })).flaws).toEqual([]);
  expect(refusalOf(problem({ flaws: ["nonsense"] })).flaws).toEqual([]);
  expect(refusalOf(new NetworkError())).toMatchObject({ title: "No connection", flaws: [] });
});

test("what a change does is told part by part", () => {
  expect(changeInWords(OUTCOME)).toEqual([
    "added dog",
    "removed cat",
    "renamed man to person",
    "field is drawn otherwise",
    "attributes of person changed",
    "rules changed",
  ]);
  expect([changes(OUTCOME, 3), changes({ ...OUTCOME, recipe: RECIPE }, 3)]).toEqual([true, false]);
});

test("saving says which version was made, or that none was", () => {
  expect(savedInWords(OUTCOME)).toEqual({
    title: "Version 4 was made",
    detail: "1 open task moved, 1,200 items with new ground truth, 0 shapes left out of it.",
  });
  expect(savedInWords({ ...OUTCOME, recipe: RECIPE, saved: false }).title).toBe("Nothing changed");
});

test.each([
  [0, null, ""],
  [1, null, "at least 1"],
  [0, 0, "exactly 0"],
  [null, 3, "at most 3"],
  [1, 3, "1 to 3"],
])("from %s to %s is told as: %s", (min, max, words) => {
  expect(boundsInWords(min, max)).toBe(words);
});

test("attributes have their options or bounds", () => {
  const [hand] = RECIPE.labels[0]?.attributes ?? [];
  expect(hand && attributeInWords(hand)).toBe("hand: left, right (select, required)");
  expect(attributeInWords({ name: "tilt", type: "number", min: -5, max: 5, default: 0 })).toBe(
    "tilt (number, from -5 up to 5, at first 0)",
  );
});

test("a link that is required leads from each at least once", () => {
  const link = { name: "of", from: ["hand"], to: ["person", "dog"] };
  expect(linkInWords({ ...link, required: true, max_in: 2 })).toBe(
    "hand → person, dog; from each at least 1; to each at most 2",
  );
  expect(linkInWords(link)).toBe("hand → person, dog");
});

test.each([
  [{ kind: "required_attribute", label: "person", attribute: "hand" } as const, "each person has a value of hand"],
  [{ kind: "count", label: "person", min: 1 } as const, "at least 1 of person in an image"],
  [{ kind: "links", label: "person", link: "holds", side: "in", max: 2 } as const, "at most 2 of holds to each person"],
  [
    { kind: "size", labels: ["car", "bus"], unit: "pixels", min_width: 4, max_height: 90 } as const,
    "each car, bus: width at least 4 px, height at most 90 px",
  ],
  [{ kind: "overlap", label: "car", max_iou: 0.8 } as const, "no car overlaps another car by more than 0.8"],
  [
    { kind: "inside", label: "hand", within: ["person"], share: 0.9 } as const,
    "each hand lies with 90% in one of person",
  ],
  [{ kind: "forbidden", labels: ["day", "night"] } as const, "no image has both day and night"],
  [{ kind: "function", function: "plates" } as const, "what the function plates says"],
])("the rule %o is told as: %s", (rule, words) => {
  expect(ruleInWords(rule as Parameters<typeof ruleInWords>[0])).toBe(words);
});
