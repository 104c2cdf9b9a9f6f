import { expect, test } from "vitest";
import type { Plain } from "./policy";
import { POLICY_SECTIONS } from "./policySettings";
import { TRIGGER_SECTIONS } from "./triggerSettings";
import {
  type NumberSetting,
  type Section,
  type Setting,
  problemWith,
  rangeInWords,
  settingsFor,
  shown,
  typed,
  valueAt,
  withValue,
} from "./settings";

const RATE: NumberSetting = { kind: "share", place: "audit_rate", name: "Rate", help: "", min: 0, max: 1 };
const LEASE: NumberSetting = {
  kind: "span", place: "lease", name: "Lease", help: "", unit: "min", per: 60, min: 30, max: 3600,
};
const LIMIT: NumberSetting = {
  kind: "count", place: "most", name: "Most", help: "", unit: "tasks", min: 1, max: 1000, empty: "no limit",
};
const PEOPLE: NumberSetting = {
  kind: "count", place: "people.audit", name: "People", help: "", unit: "people", min: 1, max: 20, absent: 1,
};

test.each([
  [RATE, 0.07, "7"],
  [RATE, 0.0025, "0.25"],
  [LEASE, 600, "10"],
  [LEASE, 90, "1.5"],
  [LIMIT, null, ""],
  [PEOPLE, undefined, "1"],
] as const)("%o: %d is typed as %s, and read back as it was", (setting, value, text) => {
  expect(shown(setting, value)).toBe(text);
  if (value !== undefined) expect(typed(setting, text)).toBe(value);
});

test("what is no number is none, and nothing is one only where it may be left empty", () => {
  expect(typed(RATE, "")).toBe(undefined);
  expect(typed(RATE, "x")).toBe(undefined);
  expect(typed(LIMIT, " ")).toBe(null);
});

test.each([
  [RATE, 1.01, "Give 0 to 100 %."],
  [LEASE, 10, "Give 0.5 to 60 min."],
  [LIMIT, 1.5, "Give a whole number, 1 to 1,000 tasks; empty: no limit."],
  [LIMIT, null, null],
  [PEOPLE, undefined, null],
  [RATE, "0.5", "Give 0 to 100 %."],
] as const)("what is wrong is said with the range: %o, %s", (setting, value, said) => {
  expect(problemWith(setting, value)).toBe(said);
  expect(rangeInWords(RATE)).toBe("0 to 100 %");
  expect(rangeInWords({ ...LEASE, min: 0.001 })).toBe("more than 0, at most 60 min");
});

test("a value is set at its place, and all beside it stays", () => {
  const document: Plain = { audit_rate: 0.1, queue: { people: {}, fair: true }, other: [1] };
  const next = withValue(withValue(document, "queue.people.audit", 2), "audit_rate", 0.2);
  expect(next).toEqual({ audit_rate: 0.2, queue: { people: { audit: 2 }, fair: true }, other: [1] });
  expect(document.audit_rate).toBe(0.1);
  expect(valueAt(next, "queue.people.audit")).toBe(2);
  expect(valueAt(next, "queue.none.there")).toBe(undefined);
});

test("a setting shows only where it means something", () => {
  const share: Setting = { ...RATE, where: ["workflow.qa", "share", "all"] };
  expect(settingsFor([share], { workflow: { qa: "share" } })).toEqual([share]);
  expect(settingsFor([share], { workflow: { qa: "off" } })).toEqual([]);
});

const TABLES: readonly (readonly Section[])[] = [POLICY_SECTIONS, TRIGGER_SECTIONS];

test.each(TABLES.map((sections) => ({ sections })))("each setting stands once, with its help: %#", ({ sections }) => {
  const all = sections.flatMap(({ settings }) => settings);
  expect(new Set(all.map(({ place }) => place)).size).toBe(all.length);
  for (const { help } of all) expect(help).toMatch(/^[A-Z“].*\.$/s);
});
