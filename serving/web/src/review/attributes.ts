/** What people say of a shape beside where it is, as the recipe asks for it. */
import type { Attribute, Label } from "../api/types";

export type Value = string | number | boolean | readonly string[];
export type Values = Readonly<Record<string, Value>>;

export const attributesOf = (labels: readonly Label[], label: string): readonly Attribute[] =>
  labels.find((one) => one.name === label)?.attributes ?? [];

/** The values with what the recipe fills in where nothing was said; what the label does not know is dropped. */
export function withDefaults(values: Values, label: string, labels: readonly Label[]): Values {
  const known = attributesOf(labels, label);
  if (known.length === 0) return {};
  return Object.fromEntries(
    known.flatMap((attribute): [string, Value][] => {
      const value = values[attribute.name];
      const filled = value !== undefined && fits(attribute, value) ? value : attribute.default;
      return filled === undefined || filled === null ? [] : [[attribute.name, filled]];
    }),
  );
}

/** With one value set, or taken away by null. */
export function withValue(values: Values, name: string, value: Value | null): Values {
  const rest = Object.fromEntries(Object.entries(values).filter(([other]) => other !== name));
  return value === null ? rest : { ...rest, [name]: value };
}

/** Names of the required attributes that have no value. */
export const missing = (attributes: readonly Attribute[], values: Values): string[] =>
  attributes.filter((one) => one.required && isEmpty(values[one.name])).map((one) => one.name);

const isEmpty = (value: Value | undefined): boolean =>
  value === undefined || (typeof value === "object" && value.length === 0) || value === "";

/** Whether the value is one that the attribute can have. */
export function fits(attribute: Attribute, value: Value): boolean {
  const options = attribute.options ?? [];
  switch (attribute.type) {
    case "select":
      return typeof value === "string" && options.includes(value);
    case "multiselect":
      return typeof value === "object" && value.every((one) => options.includes(one));
    case "number":
      return typeof value === "number";
    case "boolean":
      return typeof value === "boolean";
    case "text":
      return typeof value === "string";
  }
}

/** What was typed into a number field: the number, null for nothing. Not a number counts as nothing. */
export function numberOf(text: string): number | null {
  const value = text.trim() === "" ? Number.NaN : Number(text);
  return Number.isFinite(value) ? value : null;
}
