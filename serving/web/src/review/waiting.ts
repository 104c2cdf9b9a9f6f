/** Whether a caller of the service waits for the answer to a task, and how long still. */
import { clock } from "../app/format";

export interface CallerWaits {
  /** What is shown; changes each second. */
  readonly words: string;
  /** What is read out; changes only where somebody has to know. */
  readonly aloud: string;
  readonly tone: "" | "soon" | "over";
}

const SOON_SECONDS = 10;
const OVER = "nobody waits any more; your answer still counts";

/** answerBy: an ISO time of the service. now: milliseconds by the service's clock. Null where nobody ever waited. */
export function callerWaits(answerBy: string | null | undefined, now: number): CallerWaits | null {
  const end = Date.parse(answerBy ?? "");
  if (Number.isNaN(end)) return null;
  const left = Math.ceil((end - now) / 1000);
  if (left <= 0) return { words: OVER, aloud: OVER, tone: "over" };
  const soon = left <= SOON_SECONDS;
  return {
    words: `a caller waits: ${clock(left)}`,
    aloud: soon ? `a caller waits for ${SOON_SECONDS} more seconds at most` : "",
    tone: soon ? "soon" : "",
  };
}
