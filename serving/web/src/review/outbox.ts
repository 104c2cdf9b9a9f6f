/**
 * Answers on their way to the service: nothing that was submitted is lost to a bad connection or a reload.
 *
 *     waiting ──due──► sending ──2xx──► (gone)
 *        ▲                ├──no answer, 5xx, 429──► waiting, later each time
 *        └── reload ──────┴──4xx──► refused ──► (gone; the draft stays)
 *
 * Pure: the session sends, keeps and announces. Times are milliseconds since 1970.
 */
import type { ReturnedIssue } from "../api/types";
import type { ShapeBody } from "../api/types";
import { isRecord } from "./keep";

export type Answer =
  | { kind: "submit"; shapes: ShapeBody[]; note: string; activeSeconds?: number }
  | { kind: "skip"; reason: string }
  /** Of somebody's answer that was looked at. */
  | { kind: "accept"; note: string }
  | { kind: "return"; issues: ReturnedIssue[]; note: string };

export interface Entry {
  readonly taskId: string;
  readonly projectId: string;
  readonly epoch: number;
  readonly answer: Answer;
  readonly queuedAt: number;
  readonly attempts: number;
  readonly state: "waiting" | "sending";
  readonly dueAt: number;
}

export type Outbox = readonly Entry[];

const KINDS: readonly string[] = ["submit", "skip", "accept", "return"] satisfies Answer["kind"][];
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 30_000;

export const queued = (
  outbox: Outbox,
  entry: Pick<Entry, "taskId" | "projectId" | "epoch" | "answer">,
  now: number,
): Outbox => [
  ...outbox.filter((other) => other.taskId !== entry.taskId),
  { ...entry, queuedAt: now, attempts: 0, state: "waiting", dueAt: now },
];

/** What a new page finds: whatever was being sent may not have arrived, and is sent again. */
export const revived = (entries: readonly Entry[], now: number): Outbox =>
  [...entries].sort((a, b) => a.queuedAt - b.queuedAt).map((entry) => ({ ...entry, state: "waiting", dueAt: now }));

export const due = (outbox: Outbox, now: number): Outbox =>
  outbox.filter((entry) => entry.state === "waiting" && entry.dueAt <= now);

export const sending = (outbox: Outbox, taskId: string): Outbox =>
  changed(outbox, taskId, (entry) => ({ ...entry, state: "sending", attempts: entry.attempts + 1 }));

/** Not now: again after 1, 2, 4, … 30 s, or when the service said (`retryAfter`, seconds). */
export const postponed = (outbox: Outbox, taskId: string, now: number, retryAfter: number | null = null): Outbox =>
  changed(outbox, taskId, (entry) => ({ ...entry, state: "waiting", dueAt: now + wait(entry.attempts, retryAfter) }));

/** Everything that waits is due now: the connection is back, or somebody asked. */
export const hurried = (outbox: Outbox, now: number): Outbox =>
  outbox.map((entry) => (entry.state === "waiting" ? { ...entry, dueAt: Math.min(entry.dueAt, now) } : entry));

/** Acknowledged or refused: either way it is no longer on its way. */
export const settled = (outbox: Outbox, taskId: string): Outbox => outbox.filter((entry) => entry.taskId !== taskId);

export function wait(attempts: number, retryAfter: number | null): number {
  if (retryAfter !== null) return Math.min(retryAfter * 1000, LONGEST_WAIT_MS);
  return Math.min(FIRST_WAIT_MS * 2 ** Math.max(attempts - 1, 0), LONGEST_WAIT_MS);
}

function changed(outbox: Outbox, taskId: string, change: (entry: Entry) => Entry): Outbox {
  return outbox.map((entry) => (entry.taskId === taskId ? change(entry) : entry));
}

export function isEntry(value: unknown): value is Entry {
  return (
    isRecord(value) &&
    typeof value["taskId"] === "string" &&
    typeof value["projectId"] === "string" &&
    typeof value["epoch"] === "number" &&
    typeof value["queuedAt"] === "number" &&
    typeof value["attempts"] === "number" &&
    isRecord(value["answer"]) &&
    typeof value["answer"]["kind"] === "string" &&
    KINDS.includes(value["answer"]["kind"])
  );
}
