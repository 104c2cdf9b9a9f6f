/** What is known of an image, in words. */
import type { Detection, Item } from "../api/types";
import type { Columns } from "./columns";

/** The states of docs/map.md. */
export const STATE_WORDS: Record<string, string> = {
  open: "nobody has looked",
  task: "has, or had, a task",
  truth: "has its truth",
};

/** "car ×2, bus", the most frequent first. */
export function foundIn(detections: readonly Pick<Detection, "label">[]): string {
  if (detections.length === 0) return "nothing";
  const counts = new Map<string, number>();
  for (const { label } of detections) counts.set(label, (counts.get(label) ?? 0) + 1);
  return [...counts]
    .sort(([, a], [, b]) => b - a)
    .map(([label, number]) => (number > 1 ? `${label} ×${number}` : label))
    .join(", ");
}

/** As the service says now, where it was asked; else as it was when the map was made. */
export function stateOf(columns: Columns, row: number, now: Item | null): string {
  const drawn = columns.state.names[columns.state.codes[row] ?? -1] ?? "";
  const state = now?.truth ? "truth" : now?.prediction?.task_id ? "task" : drawn;
  return STATE_WORDS[state] ?? state;
}

/** Rows that nobody has looked at, as of when the map was made: those that can be queued for people. */
export const openOf = (columns: Columns, rows: Int32Array): Int32Array =>
  rows.filter((row) => columns.state.names[columns.state.codes[row] ?? -1] === "open");

/** Rows by risk, the riskiest first. */
export const byRisk = (columns: Columns, rows: Int32Array): Int32Array =>
  rows.slice().sort((a, b) => (columns.risk[b] ?? 0) - (columns.risk[a] ?? 0));
