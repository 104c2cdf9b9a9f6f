/** How long the queue is and what was done, in words for whoever reviews. */
import { count } from "../app/format";
import type { ReviewState } from "./session";

export interface Queue {
  /** Before the number: how it is to be taken. */
  readonly about: string;
  readonly meaning: string;
}

const FREE = "Tasks that nobody holds";
const MOST_COUNTED = 1000; // by the service

/** Where there are golden items the service rounds up to tens, and it does not say where; so any such number may be. */
export function queueInWords(open: number | null): Queue {
  if (open === null || open === 0 || open % 10 !== 0) return { about: "", meaning: FREE };
  if (open >= MOST_COUNTED) return { about: "at least", meaning: `${FREE}; more are not counted` };
  return { about: "about", meaning: `${FREE}; may be rounded up to tens` };
}

/** "5 answered, 1 skipped" */
export function doneInWords({ done, skipped }: Pick<ReviewState, "done" | "skipped">): string {
  const answered = `${count(done - skipped)} answered`;
  return skipped === 0 ? answered : `${answered}, ${count(skipped)} skipped`;
}
