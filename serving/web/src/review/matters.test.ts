import { expect, test } from "vitest";
import type { Issue } from "../api/types";
import { issuesIn, mattersOf, nextMatter, pinsOf } from "./matters";
import { boxed } from "./outline";
import { bare } from "./shapes";

const shapes = ["a", "b", "c", "d"].map((id) => bare(id, "x", boxed([0, 0, 9, 9])));
const issue = (severity: Issue["severity"], ...named: string[]): Issue => ({
  rule: "r",
  severity,
  message: severity,
  shapes: named,
});
const sources = {
  issues: [issue("warning", "a"), issue("error", "b", "a")],
  returned: [{ message: "wrong", shapes: ["c"] }],
  disputed: ["d", "gone"],
};

test("errors come first and warnings last; a shape that is gone is not disputed", () => {
  expect(mattersOf(sources, shapes).map(({ kind }) => kind)).toEqual(["error", "returned", "disputed", "warning"]);
});

test("a shape shows the worst that is said of it", () => {
  expect([...pinsOf(mattersOf(sources, shapes))]).toEqual([
    ["b", "error"],
    ["a", "error"],
    ["c", "returned"],
    ["d", "disputed"],
  ]);
});

test("a shape without an id is named by its place", () => {
  const [matter] = mattersOf({ issues: [issue("error", "#2", "#9")], returned: [], disputed: [] }, shapes);
  expect(matter?.shapes).toEqual(["c"]);
});

test("a key goes round all shapes that something is said of", () => {
  const matters = mattersOf(sources, shapes);
  expect(nextMatter(matters, null, 1)).toBe("b");
  expect(nextMatter(matters, "b", 1)).toBe("a");
  expect(nextMatter(matters, "b", -1)).toBe("d");
  expect(nextMatter([], "b", 1)).toBeNull();
});

test("a refusal by the rules tells its issues, another problem none", () => {
  const problem = { title: "", detail: "", hint: "", status: 422 };
  const issues = [issue("error", "a"), { nonsense: true }];
  expect(issuesIn({ ...problem, type: "/problems/rules-broken", ids: { issues } })).toEqual([issue("error", "a")]);
  expect(issuesIn({ ...problem, type: "/problems/bad-shape", ids: { issues } })).toBeNull();
  expect(issuesIn({ ...problem, type: "/problems/rules-broken" })).toBeNull();
});
