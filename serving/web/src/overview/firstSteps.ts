/** Whether a project still needs its first steps, and which; and what is to be said before a model is promoted. */
import type { Cycle, Model, Promotion } from "../api/types";
import { type Clause, verdictOf } from "./decision";

interface Standing {
  readonly champion: string | null;
  /** Newest first. */
  readonly cycles: readonly Pick<Cycle, "state" | "finished_at">[];
  readonly promotions: readonly Pick<Promotion, "state">[];
}

/** No model serves, and none is on its way: neither trained by a cycle nor deployed. */
export const needsFirstSteps = ({ champion, cycles, promotions }: Standing): boolean =>
  champion === null &&
  cycles.every(({ finished_at }) => finished_at !== null) &&
  promotions.every(({ state }) => state !== "queued");

/** What the gate refused a model for, in its words; null where it did not refuse it, or that is not known. */
export function refusedFor(
  model: string,
  models: readonly Pick<Model, "id" | "cycle_id">[],
  cycles: readonly Pick<Cycle, "id" | "candidate_id" | "decision">[],
): readonly Clause[] | null {
  const made = models.find(({ id }) => id === model)?.cycle_id ?? null;
  const cycle = cycles.find(({ id, candidate_id }) => candidate_id === model || id === made);
  const verdict = cycle ? verdictOf(cycle.decision) : null;
  return verdict === null || verdict.promoted ? null : verdict.clauses.filter((clause) => clause.verdict === "failed");
}
