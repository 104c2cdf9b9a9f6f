/** What a cycle measured, as the page tells it: rows of figures, and what the gate said of a slice. */
import { type Api, at } from "../api/client";
import { ProblemError } from "../api/problem";
import type { CocoFigures, Compared, Cycle, Evaluation, Latencies, Mlflow, SliceFigures } from "../api/types";
import { NOTHING, counted } from "../app/figures";
import type { Clause } from "./decision";

export interface Evaluated {
  readonly cycle: Cycle;
  /** Null with `missing`, which says why. */
  readonly figures: Evaluation | null;
  readonly missing: string;
  readonly mlflow: Mlflow;
}

/** A cycle with what it measured; one that was not evaluated is no failure. */
export async function evaluated(api: Api, project: string, id: string): Promise<Evaluated> {
  const path = at(project, `/cycles/${encodeURIComponent(id)}`);
  const [cycle, mlflow] = await Promise.all([
    api.json<Cycle>("GET", path),
    api.json<Mlflow>("GET", at(project, "/mlflow")),
  ]);
  try {
    return { cycle, figures: await api.json<Evaluation>("GET", `${path}/evaluation`), missing: "", mlflow };
  } catch (error) {
    if (!(error instanceof ProblemError && error.status === 409)) throw error;
    return { cycle, figures: null, missing: error.problem.detail, mlflow };
  }
}

/** What MLflow knows of a cycle, and what it does not know yet. */
export function mlflowInWords(cycle: Cycle, mlflow: Mlflow): string {
  const untold = mlflow.cycles[cycle.id] ?? 0;
  const run = cycle.mlflow_run_id === null ? "" : `run ${cycle.mlflow_run_id}`;
  if (untold === 0) return run;
  const left = `${counted(untold, "thing is", "things are")} still to be told`;
  return [run, mlflow.error ? `${left}: ${mlflow.error}` : left].filter(Boolean).join(", ");
}

type Measure = Exclude<keyof CocoFigures, "boxes">;

const MEASURES: readonly (readonly [Measure, string])[] = [
  ["ap", "mAP 50–95"],
  ["ap50", "mAP 50"],
  ["ap75", "mAP 75"],
  ["ap_small", "mAP 50–95, small"],
  ["ap_medium", "mAP 50–95, medium"],
  ["ap_large", "mAP 50–95, large"],
  ["ar1", "Recall, 1 detection"],
  ["ar10", "Recall, 10"],
  ["ar100", "Recall, 100"],
  ["ar_small", "Recall, small"],
  ["ar_medium", "Recall, medium"],
  ["ar_large", "Recall, large"],
];

export interface Pair {
  readonly champion: number | null;
  readonly candidate: number | null;
  /** Candidate less champion; null unless both are known. */
  readonly change: number | null;
}

export const pairOf = (compared: Compared, measure: Measure): Pair =>
  pair(compared.before?.[measure] ?? null, compared.after[measure]);

export const pair = (champion: number | null, candidate: number | null): Pair => ({
  champion,
  candidate,
  change: champion === null || candidate === null ? null : candidate - champion,
});

/** Of all measures; those that neither model has are left out, as of sizes that no box has. */
export const measuresOf = (compared: Compared): { name: string; pair: Pair }[] =>
  MEASURES.map(([measure, name]) => ({ name, pair: pairOf(compared, measure) })).filter(
    (one) => one.pair.champion !== null || one.pair.candidate !== null,
  );

/** A change as its sign; what three digits do not show is none. */
export function directionOf(change: number | null): "" | "up" | "down" {
  if (change === null || Math.abs(change) < 0.0005) return "";
  return change > 0 ? "up" : "down";
}

export interface SliceVerdict {
  readonly tone: "good" | "bad" | "";
  readonly words: string;
  /** By how much it may be worse; null where it is not judged. */
  readonly margin: number | null;
  readonly detail: string;
}

/** What the gate said of a slice. Past failures are judged image by image, times not at all. */
export function sliceVerdict(slice: Pick<SliceFigures, "kind" | "name">, clauses: readonly Clause[]): SliceVerdict {
  if (slice.kind === "time") return { tone: "", words: "not judged", margin: null, detail: "" };
  const name = slice.kind === "past failures" ? "mended failures" : `slice ${titleOf(slice)}`;
  const clause = clauses.find((one) => one.name === name);
  const margin = clause?.numbers["margin"] ?? null;
  if (clause === undefined || margin === null) {
    const detail = clause?.detail.replace(/^not judged: /, "") ?? "";
    return { tone: "", words: "not judged", margin: null, detail };
  }
  const passed = slice.kind === "past failures" ? "stay mended" : "not shown to be worse";
  const failed = slice.kind === "past failures" ? "fail again" : "worse";
  return clause.verdict === "passed"
    ? { tone: "good", words: passed, margin, detail: clause.detail }
    : { tone: "bad", words: failed, margin, detail: clause.detail };
}

/** "view night"; what is alone of its kind has its name. */
export const titleOf = ({ kind, name }: Pick<SliceFigures, "kind" | "name">): string =>
  kind === name ? kind : `${kind} ${name}`;

/** How many times the champion's time an image takes; null where one of them was not timed. */
export const slowdown = ({ before, after }: Latencies): number | null =>
  before === null || after === null || before.median === 0 ? null : after.median / before.median;

/** 0.01234 → "12.3 ms" */
export const milliseconds = (seconds: number): string => `${(1000 * seconds).toFixed(1)} ms`;

/** The clause's figures: whole numbers as such, others with up to four digits. */
export const numbersOf = (clause: Clause): { name: string; value: string }[] =>
  Object.entries(clause.numbers).map(([name, value]) => ({ name: name.replace(/_/g, " "), value: told(value) }));

function told(value: number | null): string {
  if (value === null) return NOTHING;
  const text = Number.isInteger(value) ? String(value) : String(Number(value.toFixed(4)));
  return text.replace("-", "−");
}
