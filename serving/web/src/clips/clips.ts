/** What an operator chooses of a clip, and what came of it, in words. */
import { type Described, NetworkError, describe } from "../api/problem";
import type { GroupTasks, ImportedClip } from "../api/types";
import { counted } from "../app/figures";
import { count } from "../app/format";

/** Which frames are taken: all, each so many, or at most so many a second. */
export type Taking = "all" | "every" | "fps";

/** As typed. */
export interface Chosen {
  readonly name: string;
  readonly source: string;
  readonly taking: Taking;
  /** Of `every` or `fps`. */
  readonly number: string;
}

/** As the service is asked; it says what of it cannot be used. */
export function asQuery({ name, source, taking, number }: Chosen): string {
  const query = new URLSearchParams({ name: name.trim() });
  if (taking !== "all") query.set(taking, number.trim());
  if (source.trim() !== "") query.set("source", source.trim());
  return query.toString();
}

export function importedInWords({ name, added, frames, complete }: ImportedClip): string {
  const came = added === 0 ? "nothing new" : `${counted(added, "frame")} added`;
  return `${name}: ${came}, ${count(frames)} in all${complete ? "" : "; it is not complete"}.`;
}

/** An upload that broke off is lost until it is sent again. */
export function uploadProblem(error: unknown): Described {
  if (!(error instanceof NetworkError)) return describe(error);
  const hint = "Send the same file again: it goes on behind the frames that are there.";
  return { title: "The upload broke off", detail: error.message, hint };
}

export const tasksInWords = ({ made, task_ids }: GroupTasks): string =>
  made ? `${counted(task_ids.length, "task")} made` : `${counted(task_ids.length, "task")} there already`;

/** Empty: no window. */
export const windowOf = (typed: string): number | null => (typed.trim() === "" ? null : Number(typed));
