/** A new project as somebody types it: its name, a label a line. */
import type { Described } from "../api/problem";
import type { Me, ProjectBody } from "../api/types";
import { counted } from "../app/figures";

export interface TypedLabel {
  readonly name: string;
  /** "#rrggbb"; null: the service gives the next free one. */
  readonly color: string | null;
}

const SLUG = /^[a-z0-9][a-z0-9-]{0,62}$/; // loop/domain/project.py
const COLORED = /^(.*\S)\s+(#\S*)$/;
const COLOR = /^#[0-9a-f]{6}$/;
const LONGEST = 100; // characters of a label

/** "cat #ff8800" gives its colour, "traffic light" leaves it open; commas part labels as lines do. */
export const labelsFrom = (text: string): TypedLabel[] =>
  text
    .split(/[\n,]/)
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .map((line) => {
      const [, name, color] = COLORED.exec(line) ?? [];
      if (name === undefined || color === undefined) return { name: line, color: null };
      return { name, color: color.toLowerCase() };
    });

/** What is wrong with the name, and what to do; null where nothing is, or nothing is typed yet. */
export function nameProblem(name: string, taken: readonly string[]): string | null {
  if (name === "") return null;
  if (!SLUG.test(name)) {
    const nearest = slugOf(name);
    return `Use 1 to 63 lower-case letters, digits and dashes${nearest ? `, as in “${nearest}”` : ""}.`;
  }
  return taken.includes(name) ? "There is a project of this name: choose another." : null;
}

/** The nearest name that can be: "My Street" → "my-street"; empty where nothing is left. */
export const slugOf = (name: string): string =>
  name
    .normalize("NFKD")
    .toLowerCase()
    .replace(/[\u0300-\u036f]/g, "")
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-+|-+$/g, "")
    .slice(0, 63);

/** What is wrong with the labels, and what to do; null where nothing is. */
export function labelsProblem(labels: readonly TypedLabel[]): string | null {
  const names = labels.map(({ name }) => name);
  const twice = names.find((name, number) => names.indexOf(name) !== number);
  if (twice !== undefined) return `“${twice}” is there twice: leave one of them out.`;
  const long = names.find((name) => name.length > LONGEST);
  if (long !== undefined) return `“${long.slice(0, 20)}…” is too long: a label has at most ${LONGEST} characters.`;
  const bad = labels.find(({ color }) => color !== null && !COLOR.test(color));
  return bad ? `“${bad.color}” is no colour for ${bad.name}: write it as #ff8800, or leave it out.` : null;
}

export const labelsInWords = (labels: readonly TypedLabel[]): string => counted(labels.length, "label");

export const bodyOf = (id: string, labels: readonly TypedLabel[]): ProjectBody => ({
  id,
  labels: labels.map(({ name, color }) => (color === null ? { name } : { name, color })),
});

/** Why who is signed in cannot make projects, and how it is done instead; null where they can. */
export function notAllowed({ role, project_id: bound }: Pick<Me, "role" | "project_id">): Described | null {
  if (role === "operator" && bound === null) return null;
  return {
    title: "This token makes no projects",
    detail: bound === null ? "Only an operator's does." : `It is for ${bound} alone.`,
    hint: "An operator of the whole installation makes one: askance project create NAME --labels cat,dog",
  };
}
