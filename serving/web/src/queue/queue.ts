/** The queue as operators look at it: what they ask for, and a task in words. */
import type { ListedTask, Person } from "../api/types";
import { NOTHING, duration } from "../app/figures";
import { moment, short } from "../app/format";

/** Empty texts: whatever it is. */
export interface Filters {
  /** "": what is to be done, held or not. */
  readonly state: "" | ListedTask["state"];
  readonly stage: "" | ListedTask["stage"];
  readonly late: "" | "overdue" | "escalated";
  /** A token id. */
  readonly holder: string;
  /** "nobody", or what `needsOf` gives. */
  readonly need: string;
}

export const ALL: Filters = { state: "", stage: "", late: "", holder: "", need: "" };

export const STATES: Record<Filters["state"], string> = {
  "": "to be done",
  open: "open",
  leased: "in somebody’s hands",
  done: "done",
  skipped: "skipped",
};

export const STAGES: Record<ListedTask["stage"], string> = {
  annotate: "annotate",
  audit: "audit",
  adjudicate: "adjudicate",
  qa: "QA",
  golden: "golden item",
};

export const TONES = { open: "info", leased: "warn", done: "good", skipped: "" } as const;

export const isFinished = (state: Filters["state"]): boolean => state === "done" || state === "skipped";

/** What the service is asked for. Nobody holds what is open, and who may do it is asked of what is to be done. */
export function queryOf({ state, stage, late, holder, need }: Filters): Record<string, string> {
  const [kind = "", name = "true"] = isFinished(state) ? [] : need.split(":");
  const asked = {
    state,
    stage,
    holder: state === "open" ? "" : holder,
    ...(late === "" ? {} : { [late]: "true" }),
    ...(kind === "" ? {} : { [kind]: name }),
  };
  return Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== ""));
}

/** "group:leads", "skill:night": what people have, by which tasks can be found, in the order of their names. */
export function needsOf(people: readonly Pick<Person, "groups" | "skills">[]): string[] {
  const all = people.flatMap(({ groups, skills }) => [
    ...groups.map((group) => `group:${group}`),
    ...skills.map((skill) => `skill:${skill}`),
  ]);
  return [...new Set(all)].sort();
}

/** Of the file that it was, where that is known. */
export const nameOf = ({ file, item_digest }: Pick<ListedTask, "file" | "item_digest">): string =>
  file || short(item_digest);

/** Who may do it: "leads or night, with signs". */
export function whoMay({ groups, skills, kept_for }: Pick<ListedTask, "groups" | "skills" | "kept_for">): string {
  if (kept_for) return `${kept_for} alone`;
  const whoever = groups.join(" or ") || "everybody";
  return skills.length === 0 ? whoever : `${whoever}, with ${skills.join(" and ")}`;
}

export interface Due {
  readonly words: string;
  readonly tone: "" | "warn" | "bad";
}

/** When it is due, or since when it is late. */
export function dueOf({ due_at, urgency }: Pick<ListedTask, "due_at" | "urgency">, now: number): Due {
  if (due_at === null) return { words: NOTHING, tone: "" };
  const left = (Date.parse(due_at) - now) / 1000;
  const words = left >= 0 ? `in ${lasting(left)}` : `${lasting(-left)} late`;
  if (urgency === "escalated") return { words: `${words}, escalated`, tone: "bad" };
  return { words, tone: left < 0 || urgency === "overdue" ? "warn" : "" };
}

/** How long the lease lasts unless its holder goes on. */
export function leaseOf({ state, expires_at }: Pick<ListedTask, "state" | "expires_at">, now: number): string {
  if (state !== "leased" || expires_at === null) return "";
  const left = (Date.parse(expires_at) - now) / 1000;
  return left > 0 ? `ends in ${lasting(left)}` : "has run out";
}

/** Days where minutes say nothing any more. */
function lasting(seconds: number): string {
  const days = Math.floor(seconds / 86_400);
  return days >= 2 ? `${days} days` : duration(Math.max(Math.round(seconds), 1));
}

/** What stands in place of an empty list. */
export function emptyInWords(filters: Filters): string {
  if (Object.values(filters).every((value) => value === "")) return "Nothing waits for people.";
  if (filters.need === "nobody" && !isFinished(filters.state)) return "For each task that waits there is somebody.";
  return "No task is so.";
}

/** "made 26 Nov, 14:05; …" for who points at a task. */
export const madeInWords = ({ created_at, source, prediction_id }: ListedTask): string =>
  [
    `made ${moment(created_at)}`,
    source && `source ${source}`,
    prediction_id === null ? "without a proposal" : `proposal ${prediction_id}`,
  ]
    .filter(Boolean)
    .join("; ");
