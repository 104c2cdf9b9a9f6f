/** What an operator chooses of a clip, and what came of it, in words. */
import { type Described, NetworkError, describe } from "../api/problem";
import type { GroupTasks, ImportedClip, ListedItem, NewGroup } from "../api/types";
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

/** In which order items become frames. */
export type Order = "time" | "list";

/** items: as they are listed. In the order of time, what was taken when is not known counts by when it came; equals stay
 *  as they are listed. Times go along where they rise from each frame to the next, in seconds from the first. */
export function groupFrom(items: readonly ListedItem[], name: string, kind: NewGroup["kind"], order: Order): NewGroup {
  const at = ({ captured_at, created_at }: ListedItem) => Date.parse(captured_at ?? created_at ?? "");
  const ordered = order === "list" ? items : [...items].sort((a, b) => at(a) - at(b));
  const times = ordered.every(({ captured_at }) => captured_at !== null) ? ordered.map(at) : [];
  const rising = times.every((time, place) => place === 0 || time > (times[place - 1] ?? time));
  const first = times[0];
  return {
    kind,
    name: name.trim(),
    frames: ordered.map(({ digest }, place) => {
      const time = times[place];
      return { item_digest: digest, ...(rising && first !== undefined && time !== undefined ? { time: (time - first) / 1000 } : {}) };
    }),
  };
}
