/** Queries of items, tags and what happened to an item, in words. */
import type { Described } from "../api/problem";
import type { HistoryEntry, ListedItem, Problem, Reopened, Selection } from "../api/types";
import { counted } from "../app/figures";
import { shortId } from "../app/format";

export interface Asked {
  readonly query: string;
  readonly sort: string;
}

export const EVERYTHING: Asked = { query: "", sort: "-created_at" };

export const SORTS: Record<string, string> = {
  "-created_at": "newest first",
  created_at: "oldest first",
  "-risk": "riskiest first",
  risk: "least risky first",
  "-captured_at": "taken last first",
  captured_at: "taken first first",
  "-width": "widest first",
  width: "narrowest first",
  "-height": "tallest first",
  height: "lowest first",
};

/** Why a query cannot be read. `position`: of the character, from 0; null where it is about no single place. */
export interface BadQuery {
  readonly detail: string;
  readonly hint: string;
  readonly position: number | null;
  readonly found: string;
}

/** Null where it is another problem than the query's. */
export function badQueryOf({ type, detail, hint, ids }: Problem): BadQuery | null {
  const code = type.split("/").pop();
  if (code !== "bad-query" && code !== "invalid") return null;
  const { position, found } = ids ?? {};
  return {
    detail,
    hint,
    position: typeof position === "number" ? position : null,
    found: typeof found === "string" ? found : "",
  };
}

export interface Marked {
  readonly before: string;
  readonly wrong: string;
  readonly after: string;
}

/** The query in three parts, the middle of which cannot be read. The service counts characters, not UTF-16 units. At
 *  the end of the query the middle is empty. */
export function marked(query: string, { position, found }: Pick<BadQuery, "position" | "found">): Marked | null {
  if (position === null) return null;
  const characters = Array.from(query);
  const begins = Math.min(position, characters.length);
  const said = Array.from(found);
  const isThere = said.length > 0 && characters.slice(begins, begins + said.length).join("") === found;
  const ends = Math.min(begins + (isThere ? said.length : 1), characters.length);
  const part = (from: number, until?: number) => characters.slice(from, until).join("");
  return { before: part(0, begins), wrong: part(begins, ends), after: part(ends) };
}

/** "12 items", "more than 10,000 items" */
export const countInWords = ({ count, more }: { count: number; more: boolean }): string =>
  `${more ? "more than " : ""}${counted(count, "item")}`;

/** "night, rain , night" → ["night", "rain"] */
export const tagsFrom = (text: string): string[] => [
  ...new Set(
    text
      .split(",")
      .map((part) => part.trim())
      .filter((part) => part !== ""),
  ),
];

/** "risk 50 %" */
export const riskInWords = (risk: number): string => `risk ${Math.round(risk * 100)}\u00a0%`;

/** What is known of a listed item in a line. */
export function standingOf({ truth_version, work, corrections }: ListedItem): string {
  const parts = [
    truth_version !== null && truth_version > 0 ? `truth ${truth_version}` : "no truth",
    work === null ? "" : work === "done" ? "work done" : `work ${work}`,
    corrections ? counted(corrections, "correction") : "",
  ];
  return parts.filter((part) => part !== "").join(" · ");
}

/** What came of asking people again. */
export const reopenedInWords = ({ task_ids }: Reopened): string =>
  `${counted(task_ids.length, "task is", "tasks are")} in the queue again; the answers so far stay.`;

/** What came of a selection. */
export function selectedInWords({ picks, budget, notes }: Selection): Described {
  const title = picks.length === 0 ? "Nobody is asked" : `${counted(picks.length, "image")} queued for review`;
  const fewer = picks.length < budget ? "There are no more that nobody has looked at." : "They are in the queue now.";
  return { title, detail: fewer, hint: (notes ?? []).join(" ") };
}

/** What an entry of a history says beside its kind: the plain values of its body, the first few. names: of people by
 *  the ids of their tokens; other ids are told short. */
export function saidBy({ body }: Pick<HistoryEntry, "body">, names: ReadonlyMap<string, string> = new Map()): string {
  return Object.entries(body)
    .filter(([, value]) => ["string", "number", "boolean"].includes(typeof value) && value !== "")
    .slice(0, 6)
    .map(([name, value]) => [worded(name), typeof value === "number" ? rounded(value) : named(String(value), names)])
    .map(([name = "", value = ""]) => (value.startsWith(`${name}_`) ? value : `${name} ${value}`)) // ids name their kind
    .join(" · ");
}

/** "model_id" → "model" */
const worded = (name: string): string => name.replace(/_id$/, "").replaceAll("_", " ");

/** The person's name where it is the id of a token, else the id short; words as they are. */
export function named(id: string, names: ReadonlyMap<string, string>): string {
  return names.get(id) ?? (/^[a-z]+_[0-9a-f]{24,}$|^[0-9a-f]{64}$/.test(id) ? shortId(id) : id);
}

const rounded = (value: number): string => String(Math.round(value * 10_000) / 10_000);
