import { expect, test } from "vitest";
import type { ListedTask } from "../api/types";
import { ALL, type Filters, dueOf, emptyInWords, leaseOf, nameOf, needsOf, queryOf, whoMay } from "./queue";

const NOW = Date.parse("2026-03-02T12:00:00Z");
const TASK = {
  file: "", item_digest: "9f2c".padEnd(64, "0"), state: "leased", groups: [], skills: [], kept_for: "",
  due_at: null, urgency: "ordinary", expires_at: "2026-03-02T12:03:20Z",
} as unknown as ListedTask; // prettier-ignore

test.each<[Partial<Filters>, Record<string, string>]>([
  [{}, {}],
  [{ state: "leased", holder: "tok_1", stage: "qa" }, { state: "leased", holder: "tok_1", stage: "qa" }],
  [{ late: "overdue", need: "nobody" }, { overdue: "true", nobody: "true" }],
  [{ late: "escalated", need: "group:leads" }, { escalated: "true", group: "leads" }],
  [{ need: "skill:night" }, { skill: "night" }],
  [{ state: "done", need: "nobody", holder: "tok_1" }, { state: "done", holder: "tok_1" }],
  [{ state: "open", holder: "tok_1" }, { state: "open" }],
])("filters %o ask for %o, and for nothing that the service refuses", (filters, asked) => {
  expect(queryOf({ ...ALL, ...filters })).toEqual(asked);
});

test("tasks are found by what people have, each once", () => {
  const people = [
    { groups: ["leads"], skills: ["night"] },
    { groups: ["experts", "leads"], skills: [] },
  ];
  expect(needsOf(people)).toEqual(["group:experts", "group:leads", "skill:night"]);
});

test("an item is called by its file, or by its digest", () => {
  expect(nameOf({ ...TASK, file: "a.png" })).toBe("a.png");
  expect(nameOf(TASK)).toBe("9f2c00000000…");
});

test.each([
  [{}, "everybody"],
  [{ groups: ["leads", "night"] }, "leads or night"],
  [{ groups: ["leads"], skills: ["signs", "snow"] }, "leads, with signs and snow"],
  [{ skills: ["signs"] }, "everybody, with signs"],
  [{ kept_for: "ada" }, "ada alone"],
])("who may do a task with %o: %s", (known, words) => {
  expect(whoMay({ ...TASK, ...known })).toBe(words);
});

test.each([
  [{}, "–", ""],
  [{ due_at: "2026-03-02T14:02:00Z" }, "in 2 h 2 min", ""],
  [{ due_at: "2026-03-02T11:00:00Z" }, "1 h late", "warn"],
  [{ due_at: "2026-02-20T12:00:00Z", urgency: "overdue" as const }, "10 days late", "warn"],
  [{ due_at: "2026-03-02T11:59:00Z", urgency: "escalated" as const }, "1 min late, escalated", "bad"],
])("a task with %o is due: %s", (known, words, tone) => {
  expect(dueOf({ ...TASK, ...known }, NOW)).toEqual({ words, tone });
});

test("a lease says when it ends, and that it did before the list is renewed", () => {
  expect(leaseOf(TASK, NOW)).toBe("ends in 3 min 20 s");
  expect(leaseOf(TASK, NOW + 200_000)).toBe("has run out");
  expect(leaseOf({ ...TASK, state: "done" }, NOW)).toBe("");
});

test("an empty list says of what there is nothing", () => {
  expect(emptyInWords(ALL)).toBe("Nothing waits for people.");
  expect(emptyInWords({ ...ALL, need: "nobody" })).toContain("somebody");
  expect(emptyInWords({ ...ALL, stage: "qa" })).toBe("No task is so.");
});
