import { expect, test } from "vitest";
import type { Attribute, Label } from "../api/types";
import { fits, missing, numberOf, withDefaults, withValue } from "./attributes";

const colour: Attribute = { name: "colour", type: "select", options: ["red", "white"], required: true };
const damage: Attribute = { name: "damage", type: "multiselect", options: ["dent", "glass"], required: true };
const parked: Attribute = { name: "parked", type: "boolean", default: false, required: true };
const label: Label = { name: "car", color: "#ffffff", key: "c", attributes: [colour, damage, parked] };

test("defaults are filled in, what was said stays, what the label does not know goes", () => {
  expect(withDefaults({ colour: "red", doors: 4 }, "car", [label])).toEqual({ colour: "red", parked: false });
  expect(withDefaults({ colour: "green", parked: true }, "car", [label])).toEqual({ parked: true });
  expect(withDefaults({ colour: "red" }, "tree", [label])).toEqual({});
});

test("required and unsaid are told; false and zero are said, nothing chosen is not", () => {
  expect(missing([colour, damage, parked], { damage: [], parked: false })).toEqual(["colour", "damage"]);
  expect(missing([colour], { colour: "red" })).toEqual([]);
});

test.each([
  [colour, "red", true],
  [colour, "green", false],
  [damage, ["dent"], true],
  [damage, ["rust"], false],
  [damage, "dent", false],
  [parked, true, true],
  [parked, "yes", false],
])("a value fits or does not: %#", (attribute, value, expected) => {
  expect(fits(attribute, value)).toBe(expected);
});

test("a value is set, changed and taken away without touching the others", () => {
  expect(withValue({ a: 1 }, "b", "x")).toEqual({ a: 1, b: "x" });
  expect(withValue({ a: 1, b: "x" }, "b", null)).toEqual({ a: 1 });
});

test.each([
  ["", null],
  [" ", null],
  ["-", null],
  ["0", 0],
  ["1.50", 1.5],
])("typed %j is the number %j", (text, expected) => {
  expect(numberOf(text)).toBe(expected);
});
