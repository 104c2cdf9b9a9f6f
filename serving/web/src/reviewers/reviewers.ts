/** What golden items say of people, and how far people agree, in words. */
import { type Described, describe } from "../api/problem";
import type { Agreement, Person, Reviewer, ReviewerDetail, Standing } from "../api/types";
import { counted } from "../app/figures";

export const TONES: Record<Standing, string> = { new: "info", qualified: "good", warned: "warn", paused: "bad" };

export const MEANINGS: Record<Standing, string> = {
  new: "gets golden items alone until they show enough",
  qualified: "works on all tasks",
  warned: "works on, and is told that it is not good enough",
  paused: "gets golden items alone; others are asked for what this person decided alone, let stand in QA, or gave up",
};

/** The same of who judges the answers of others. */
export const JUDGING_MEANINGS: Record<Standing, string> = {
  new: "gets answers alone whose value is known, until they show enough",
  qualified: "judges the answers of others",
  warned: "goes on to judge, and is told that it is not good enough",
  paused: "gets answers alone whose value is known; others look again at what this person let stand",
};

/** Why somebody has the standing: what was said by hand, else what golden items show. */
export const whyOf = ({ why, reasons }: Pick<Reviewer, "why" | "reasons">): string =>
  why || reasons.map((reason) => reason.detail).join(" ");

/** How far somebody who waits is from working. */
export function neededOf({ standing, more }: Pick<Reviewer, "standing" | "more">, what = "golden item"): string {
  if (standing !== "new" && standing !== "paused") return "";
  if (more === null) return "going on like this is not enough";
  return more === 0 ? "" : `${counted(more, what)} more, if all goes well`;
}

/** Whether there is anything to say of somebody as a judge. */
export const judges = ({ judging }: Pick<Reviewer, "judging">): boolean =>
  judging.accepts !== null || judging.why !== "" || judging.standing !== "qualified";

/** Of who is paused, what nobody is asked for again. */
export const sharedOf = ({ shared }: Pick<Reviewer, "shared">): string =>
  shared === 0 ? "" : `${counted(shared, "item")} answered together with others, not asked for again.`;

/** What is taken for what, the most frequent first. */
export const mistakesOf = ({ confusion }: Pick<ReviewerDetail, "confusion">): ReviewerDetail["confusion"] =>
  confusion.filter((cell) => cell.true !== cell.given).sort((a, b) => b.count - a.count);

/** Krippendorff's own reading of his alpha. */
export function alphaInWords(alpha: number | null): string {
  if (alpha === null) return "cannot be told";
  if (alpha >= 0.8) return "reliable";
  return alpha >= 2 / 3 ? "good enough for careful conclusions" : "too low to rely on";
}

/** The pairs that agree least first, by name. */
export function pairsOf({ pairs }: Pick<Agreement, "pairs">, people: readonly Pick<Person, "token_id" | "name">[]) {
  const names = new Map(people.map((one) => [one.token_id, one.name]));
  return [...pairs]
    .sort((a, b) => a.f1 - b.f1)
    .map((pair) => ({ ...pair, names: pair.reviewers.map((id) => names.get(id) ?? id).join(" and ") }));
}

/** Ids or names as people type and paste them: a line, a comma or a space between them, each once. */
export const wordsIn = (text: string): string[] => [...new Set(text.split(/[\s,;]+/).filter((part) => part !== ""))];

/** An item that was not made golden. */
export interface Refused {
  readonly id: string;
  readonly reason: string;
}

export function reasonOf(error: unknown): string {
  const { detail, hint } = describe(error);
  return `${detail} ${hint}`.trim();
}

/** What came of making items golden. */
export const madeGoldenInWords = (made: number, refused: readonly Refused[]): Described => ({
  title: made === 0 ? "No item was made golden" : `${counted(made, "item is", "items are")} golden`,
  detail: made === 0 ? "" : "People get them among other work.",
  hint: reasonsOf(refused)
    .map(({ reason, ids }) => `${counted(ids.length, "item was", "items were")} left out: ${reason}`)
    .join(" "),
});

/** The reasons with the items that each kept out, as they came. */
export function reasonsOf(refused: readonly Refused[]): { reason: string; ids: string[] }[] {
  const ids = new Map<string, string[]>();
  for (const { id, reason } of refused) ids.set(reason, [...(ids.get(reason) ?? []), id]);
  return [...ids].map(([reason, those]) => ({ reason, ids: those }));
}
