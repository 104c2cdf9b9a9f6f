/** A lot and its plan in words and numbers. */
import type { CurvePoint, Lot, LotItem, LotRules } from "../api/types";
import { counted, exactly } from "../app/figures";
import { count } from "../app/format";

export const TONES = { open: "info", inspecting: "warn", accepted: "good", rejected: "bad" } as const;

/** What decides over a lot. */
export function planOf(
  rules: Pick<LotRules, "plan" | "share" | "threshold" | "aql" | "ltpd" | "alpha" | "beta">,
): string {
  if (rules.plan === "share") {
    return `${exactly(rules.share)} are looked at, of which at most ${exactly(rules.threshold)} may have defects`;
  }
  const promise =
    `a lot with ${exactly(rules.aql)} defects is rejected with at most ${exactly(rules.alpha)} probability, ` +
    `one with ${exactly(rules.ltpd)} accepted with at most ${exactly(rules.beta)}`;
  return `${rules.plan === "single" ? "one sample" : "one after the other"}: ${promise}`;
}

/** Whose items it has. */
export function originOf({ upload, source }: Pick<Lot, "upload" | "source">): string {
  if (upload) return source ? `Upload ${source}` : "An upload";
  return source ? `Source ${source}` : "All sources";
}

/** What the numbers so far mean: "accepted with at most 1, rejected with 3 or more". */
export function limitsOf({ state, inspected, accept_at, reject_at }: Lot): string {
  if (inspected === 0) return state === "open" ? "it still fills" : "nothing is looked at yet";
  const accepts = accept_at < 0 ? "too few to accept" : `accepted with at most ${count(accept_at)}`;
  return `after ${counted(inspected, "item")}: ${accepts}, rejected with ${count(reject_at)} or more`;
}

/** How many items the plan is about: those of the lot without the ones that ended without an answer; of one that still
 *  fills, those of a full lot; of an upload those that came so far. At least one. */
export const judgedSize = ({ closed_at, items, void: ended, rules, upload }: Lot): number =>
  Math.max(closed_at === null && !upload ? rules.size : items - ended, 1);

/** Wilson's 95 % interval of a share. Exact enough for counts as small as a sample's, and within [0, 1]. */
export function wilson(part: number, whole: number): { low: number; high: number } {
  if (whole === 0) return { low: 0, high: 1 };
  const z = 1.959964;
  const share = part / whole;
  const middle = share + (z * z) / (2 * whole);
  const half = z * Math.sqrt((share * (1 - share)) / whole + (z * z) / (4 * whole * whole));
  const scale = 1 + (z * z) / whole;
  return { low: Math.max((middle - half) / scale, 0), high: Math.min((middle + half) / scale, 1) };
}

/** The share of defects up to which a curve is shown: where the plan as good as never accepts, or what was found. */
export function shownUntil(points: readonly CurvePoint[], seen = 0): number {
  const end = points.find((point) => point.accepts < 0.002)?.share ?? 1;
  return Math.min(Math.max(Math.ceil(Math.max(end, seen) * 20) / 20, 0.1), 1);
}

const TOLD = [0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5];

/** The points nearest to shares that people think in, each once. */
export function told(points: readonly CurvePoint[]): CurvePoint[] {
  const nearest = TOLD.map((share) =>
    points.reduce<CurvePoint | null>(
      (best, point) => (best === null || Math.abs(point.share - share) < Math.abs(best.share - share) ? point : best),
      null,
    ),
  );
  return [...new Set(nearest)].filter((point) => point !== null);
}

/** Where the answer to one of a lot's items is. */
export function standingOf({ void: ended, standing }: Pick<LotItem, "void" | "standing">): string {
  if (ended) return "ended without an answer";
  if (standing === null) return "not answered";
  return { waiting: "waits for the verdict", in_qa: "in QA", recalled: "waits for the verdict", settled: "counts" }[
    standing
  ];
}

export interface Verdict {
  readonly words: string;
  readonly tone: "" | "good" | "bad";
}

/** What QA found of an item; nothing where it has not looked. */
export function verdictOf({ defect }: Pick<LotItem, "defect">): Verdict {
  if (defect === null) return { words: "", tone: "" };
  return defect ? { words: "defect", tone: "bad" } : { words: "right", tone: "good" };
}
