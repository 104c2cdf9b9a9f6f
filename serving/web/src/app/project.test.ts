import { expect, test } from "vitest";
import type { Project } from "../api/types";
import { chosenOf, renewed } from "./project";

const PROJECT = { id: "street", policy: { version: 1 }, recipe: { version: 1 }, champion_id: "a" } as Project;

test("a project that is as it was stays the same object", () => {
  expect(renewed(PROJECT, structuredClone(PROJECT))).toBe(PROJECT);
});

test.each([
  { policy: { version: 2 } },
  { recipe: { version: 2 } },
  { champion_id: null },
  { id: "other" },
])("what differs is shown: %o", (change) => {
  const read = { ...PROJECT, ...change } as Project;
  expect(renewed(PROJECT, read)).toBe(read);
});

test("the address's project is shown, the first where it names none, and never another in place of an unknown one", () => {
  const projects = [PROJECT, { ...PROJECT, id: "yard" }];
  expect(chosenOf(projects, "yard")?.id).toBe("yard");
  expect(chosenOf(projects, null)?.id).toBe("street");
  expect(chosenOf(projects, "nope")).toBe(null);
  expect(chosenOf([], null)).toBe(null);
});
