/** A recipe as the document that an operator changes, and what the service says of it. */
import { type Described, ProblemError, describe } from "../api/problem";
import type { Recipe, RecipeOutcome } from "../api/types";
import { counted } from "../app/figures";

/** With what a change can say besides, to be filled in. Parts that are not given are left out. */
export const documentOf = (recipe: Recipe): string => {
  const { version, labels, links = [], rules = [], guidelines } = recipe;
  const [named, linked, ruled] = [labels, links, rules].map((parts) => parts.map(given));
  const besides = { renames: {}, migrate: { open_tasks: null, ground_truth: null } };
  return JSON.stringify({ version, labels: named, links: linked, rules: ruled, guidelines, ...besides }, null, 2);
};

/** Null and an empty list say the same as nothing. */
const given = (part: object): unknown =>
  JSON.parse(
    JSON.stringify(part, (_name, value: unknown) =>
      value === null || (Array.isArray(value) && value.length === 0) ? undefined : value,
    ),
  );

/** One thing that is wrong with a document, and where. */
export interface Flaw {
  readonly path: string;
  readonly problem: string;
  readonly hint: string;
}

export interface Refusal extends Described {
  readonly flaws: readonly Flaw[];
}

export function refusalOf(error: unknown): Refusal {
  const flaws: unknown = error instanceof ProblemError ? error.problem.ids?.["flaws"] : [];
  return { ...describe(error), flaws: Array.isArray(flaws) ? flaws.filter(isFlaw) : [] };
}

const isFlaw = (value: unknown): value is Flaw =>
  typeof value === "object" && value !== null && "path" in value && "problem" in value && "hint" in value;

/** Of a document that was only checked: whether saving it would make a version. */
export const changes = ({ recipe }: RecipeOutcome, newest: number): boolean => recipe.version !== newest;

export function changeInWords({ change }: Pick<RecipeOutcome, "change">): string[] {
  return [
    ...change.added.map((name) => `added ${name}`),
    ...change.removed.map((name) => `removed ${name}`),
    ...Object.entries(change.renamed).map(([before, after]) => `renamed ${before} to ${after}`),
    ...change.redrawn.map((name) => `${name} is drawn otherwise`),
    ...change.attributes.map((name) => `attributes of ${name} changed`),
    ...(["links", "rules", "guidelines"] as const).filter((part) => change[part]).map((part) => `${part} changed`),
  ];
}

export interface Saved {
  readonly title: string;
  readonly detail: string;
}

export function savedInWords({ recipe, saved, moved, relabelled, dropped }: RecipeOutcome): Saved {
  if (!saved) return { title: "Nothing changed", detail: `Version ${recipe.version} says the same.` };
  const detail =
    `${counted(moved, "open task")} moved, ${counted(relabelled, "item")} with new ground truth, ` +
    `${counted(dropped, "shape")} left out of it.`;
  return { title: `Version ${recipe.version} was made`, detail };
}
