/** Which triggers have to hold together. The API knows any and all inside each other; the form shows groups: a cycle
 *  begins when all of one group hold. */
import type { Triggers } from "../api/types";
import { isRecord } from "../review/keep";
import { type Plain, differences } from "./policy";

type Rules = Triggers["rules"];
type Groups = readonly (readonly string[])[];

/** In the order of the form. */
export const CONDITIONS = ["reviewed", "corrected", "failure_rate", "every_hours", "drift", "schedule"] as const;

/** Those that are set. */
export const conditionsIn = (rules: Plain): string[] =>
  CONDITIONS.filter((name) => rules[name] !== null && rules[name] !== undefined && rules[name] !== false);

/** Any of the groups, in which all hold; the same in whatever way it was written. */
export function groupsOf(when: unknown): string[][] {
  if (typeof when === "string") return [[when]];
  if (!isRecord(when)) return [];
  if (Array.isArray(when.any)) return distinct(when.any.flatMap(groupsOf));
  if (!Array.isArray(when.all)) return [];
  return distinct(
    when.all.map(groupsOf).reduce<string[][]>((before, after) => before.flatMap((one) => after.map((two) => [...one, ...two])), [[]]),
  );
}

/** As the API has it; null for no group. */
export function whenOf(groups: Groups): Rules["when"] {
  const parts = distinct(groups)
    .filter((group) => group.length > 0)
    .map((group) => (group.length === 1 ? group[0] : { all: group }));
  const [only] = parts;
  if (only === undefined) return null;
  if (parts.length > 1) return { any: parts };
  return typeof only === "string" ? { all: [only] } : only;
}

/** Rules in which `when` names just what is set: what was taken away counts no more, what was added asks alone. */
export function fitting(rules: Plain): Plain {
  if (!isRecord(rules.when)) return rules;
  const set = conditionsIn(rules);
  const groups = groupsOf(rules.when);
  const named = new Set(groups.flat());
  if (set.length === named.size && set.every((name) => named.has(name))) return rules;
  const left = groups.map((group) => group.filter((name) => set.includes(name)));
  const added = set.filter((name) => !named.has(name)).map((name) => [name]);
  return { ...rules, when: whenOf([...left, ...added]) };
}

/** What is to be sent; `when` goes as a whole. */
export function changedRules(rules: Plain, draft: Plain): Plain {
  const names = Object.keys(draft).filter((name) => differences(rules[name], draft[name]).length > 0);
  return Object.fromEntries(names.map((name) => [name, draft[name]]));
}

/** A group with that name in it, or without it where it was. */
export const toggled = (groups: Groups, number: number, name: string): string[][] =>
  groups.map((group, at) => {
    if (at !== number) return [...group];
    return group.includes(name) ? group.filter((one) => one !== name) : [...group, name];
  });

/** "200 items corrected and the drift alarm, or …", by what each is called. */
export function togetherInWords(when: unknown, called: (name: string) => string): string {
  const groups = groupsOf(when).map((group) => group.map(called).join(" and "));
  return groups.join(", or ");
}

/** Each name once in a group, in the form's order; each group once. */
function distinct(groups: Groups): string[][] {
  const order = (name: string) => CONDITIONS.findIndex((one) => one === name);
  const sorted = groups.map((group) => [...new Set(group)].sort((one, two) => order(one) - order(two)));
  return [...new Map(sorted.map((group) => [group.join(), group])).values()];
}
