import { expect, test } from "vitest";
import { bodyOf, labelsFrom, labelsProblem, nameProblem, notAllowed } from "./newProject";

test("labels are one a line or parted by commas, with a colour or without; empty lines are none", () => {
  expect(labelsFrom("cat #FF8800\n\n traffic light , dog\n#1 prize")).toEqual([
    { name: "cat", color: "#ff8800" },
    { name: "traffic light", color: null },
    { name: "dog", color: null },
    { name: "#1 prize", color: null },
  ]);
});

test("the service gives colours to labels that have none", () => {
  expect(bodyOf("street", labelsFrom("cat #ff8800\ndog"))).toEqual({
    id: "street",
    labels: [{ name: "cat", color: "#ff8800" }, { name: "dog" }],
  });
});

test.each([
  ["cat\ncat", "“cat” is there twice: leave one of them out."],
  ["cat #ff88", "“#ff88” is no colour for cat: write it as #ff8800, or leave it out."],
  ["a".repeat(101), /^“a{20}…” is too long/],
  ["cat\ndog", null],
] as const)("what is wrong with labels is said with what to do: %j", (text, said) => {
  const told = labelsProblem(labelsFrom(text));
  if (said instanceof RegExp) expect(told).toMatch(said);
  else expect(told).toBe(said);
});

test.each([
  ["My Straße 2", "Use 1 to 63 lower-case letters, digits and dashes, as in “my-stra-e-2”."],
  ["Café", "Use 1 to 63 lower-case letters, digits and dashes, as in “cafe”."],
  ["-", "Use 1 to 63 lower-case letters, digits and dashes."],
  ["yard", "There is a project of this name: choose another."],
  ["street", null],
  ["", null],
])("what is wrong with a name is said with the nearest that can be: %j", (name, said) => {
  expect(nameProblem(name, ["yard"])).toBe(said);
});

test("an operator of the whole installation makes projects, who else is told the command", () => {
  expect(notAllowed({ role: "operator", project_id: null })).toBe(null);
  expect(notAllowed({ role: "operator", project_id: "yard" })?.detail).toBe("It is for yard alone.");
  expect(notAllowed({ role: "producer", project_id: null })?.hint).toContain("askance project create");
});
