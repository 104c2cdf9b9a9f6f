import { clock } from "../app/format";
import { useNow } from "../app/hooks";
import type { ReviewState } from "./session";

/** One line on connection and lease: calm while all is well. */
export function Status({ state }: { readonly state: ReviewState }) {
  const now = useNow(1000);
  const { tone, text } = statusOf(state, now);
  return (
    <span className={`status ${tone}`} data-testid="status" data-tone={tone} role="status" aria-live="off">
      <span className="lamp" />
      {text}
    </span>
  );
}

function statusOf(state: ReviewState, now: number): { tone: "good" | "warn" | "bad"; text: string } {
  const waiting = state.outbox.length;
  const answers = waiting === 1 ? "1 answer" : `${waiting} answers`;
  if (state.current?.lost) return { tone: "bad", text: "Lease lost" };
  if (!state.online)
    return { tone: "warn", text: waiting > 0 ? `Offline · ${answers} kept, retrying` : "Offline · retrying" };
  if (state.outbox.some((entry) => entry.attempts > 1)) return { tone: "warn", text: `Retrying ${answers}` };
  if (waiting > 0) return { tone: "good", text: `Sending ${answers}` };
  if (state.idle) return { tone: "warn", text: "Paused while you are away" };
  if (!state.current) return { tone: "good", text: "Connected" };
  const left = (state.current.deadline - now) / 1000;
  return { tone: left < state.current.task.lease_seconds / 5 ? "warn" : "good", text: `Yours for ${clock(left)}` };
}
