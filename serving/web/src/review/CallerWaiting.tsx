import { useNow } from "../app/hooks";
import { callerWaits } from "./waiting";

interface Props {
  readonly answerBy: string | null | undefined;
  /** Milliseconds that the service's clock is ahead. */
  readonly clockOffset: number;
}

/** How long a caller waits still for the answer to the task on screen; nothing for all other work. */
export function CallerWaiting({ answerBy, clockOffset }: Props) {
  const waits = callerWaits(answerBy, useNow(500) + clockOffset);
  if (waits === null) return null;
  return (
    <p className={`waiting ${waits.tone}`} data-testid="caller-waits">
      <span className="lamp" aria-hidden="true" />
      <span role="timer" aria-live="off">
        {waits.words}
      </span>
      <span className="visually-hidden" role="status" aria-live="polite">
        {waits.aloud}
      </span>
    </p>
  );
}
