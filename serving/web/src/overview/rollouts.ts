/** Models beside the champion: calls, and how a canary stands in words. */
import { type Api, at } from "../api/client";
import type { CanaryRules, CanaryStanding, Model, Rollout, RolloutBody, RolloutKind } from "../api/types";

export const startRollout = (api: Api, project: string, body: RolloutBody) =>
  api.json<Rollout>("POST", at(project, "/rollouts"), body);

export const endRollout = (api: Api, project: string, rollout: string, reason: string) =>
  api.json<Rollout>("POST", at(project, `/rollouts/${encodeURIComponent(rollout)}/end`), { reason });

export const rollout = (api: Api, project: string, id: string) =>
  api.json<Rollout>("GET", at(project, `/rollouts/${encodeURIComponent(id)}`));

/** Ids of rollouts begin so; those of cycles do not. */
export const isRollout = (place: string): boolean => place.startsWith("rollout_");

export const KINDS: readonly RolloutKind[] = ["canary", "shadow"];

export const runs = ({ state }: Pick<Rollout, "state">): boolean => state === "queued" || state === "active";

/** Kinds of which none runs: one of each is let at a time. */
export const freeKinds = (rollouts: readonly Rollout[]): RolloutKind[] =>
  KINDS.filter((kind) => !rollouts.some((one) => one.kind === kind && runs(one)));

/** Those that could run beside the champion. */
export const contenders = (models: readonly Model[]): Model[] => models.filter((model) => !model.champion);

export const STATES: Record<Rollout["state"], { readonly tone: string; readonly words: string }> = {
  queued: { tone: "info", words: "deploying" },
  active: { tone: "good", words: "active" },
  ended: { tone: "", words: "ended" },
  rolled_back: { tone: "bad", words: "taken back" },
  failed: { tone: "bad", words: "could not be served" },
};

export const VERDICTS: Record<CanaryStanding["verdict"], { readonly tone: string; readonly words: string }> = {
  going_on: { tone: "info", words: "not known yet" },
  worse: { tone: "bad", words: "worse" },
  not_worse: { tone: "good", words: "not worse" },
  undecided: { tone: "warn", words: "undecided" },
};

/** What becomes of a canary at each of the two bounds, and when neither is reached. */
export function rulesInWords({ judging }: Pick<Rollout, "judging">): string[] {
  if (judging === null) return [];
  const { margin, confidence, max_hours, max_answers, on_pass, on_undecided } = judging;
  const points = (share: number): string => `${Number((100 * share).toFixed(2))}`;
  return [
    `Worse: it surely fails more often than the champion; it is taken back.`,
    `Not worse: it surely fails at most ${points(margin)} points more often; ` +
      (on_pass === "promote" ? "it becomes the champion." : "it goes on until a person promotes or ends it."),
    `Undecided: neither after ${max_hours} h or ${max_answers} answers; ` +
      (on_undecided === "accept" ? "it counts as not worse." : "it is taken back."),
    `Each verdict is right with ${points(confidence)} %, however often one looks.`,
  ];
}

/** Typed percents as a share in (0, 1]; null where they are none. */
export function shareOfTyped(typed: string): number | null {
  const share = Number(typed.replace(",", ".")) / 100;
  return typed.trim() !== "" && share > 0 && share <= 1 ? share : null;
}

/** Rules of a canary as they are typed; empty: as the settings say. margin: percent. */
export interface TypedRules {
  readonly margin: string;
  readonly hours: string;
  readonly onPass: "" | NonNullable<CanaryRules["on_pass"]>;
}

export const AS_SET: TypedRules = { margin: "", hours: "", onPass: "" };

const MOST_HOURS = 8760;

/** What was typed as rules, empty where all is as set; null where it is none. */
export function rulesOfTyped({ margin, hours, onPass }: TypedRules): CanaryRules | null {
  const share = margin.trim() === "" ? undefined : shareOfTyped(margin);
  const time = hours.trim() === "" ? undefined : Number(hours.replace(",", "."));
  if (share === null || share === 1) return null;
  if (time !== undefined && !(time > 0 && time <= MOST_HOURS)) return null;
  return {
    ...(share === undefined ? {} : { margin: share }),
    ...(time === undefined ? {} : { max_hours: time }),
    ...(onPass === "" ? {} : { on_pass: onPass }),
  };
}

export interface Axis {
  readonly low: number;
  readonly high: number;
  readonly zero: number;
  readonly margin: number;
}

/** Where the bounds of the difference, no difference and the margin are on a line from 0 to 100, all in sight. */
export function axisOf({ low, high }: Pick<CanaryStanding, "low" | "high">, margin: number): Axis {
  const from = Math.min(low, -margin);
  const to = Math.max(high, 2 * margin);
  const pad = 0.05 * (to - from);
  const at = (value: number): number => (100 * (value - from + pad)) / (to - from + 2 * pad);
  return { low: at(low), high: at(high), zero: at(0), margin: at(margin) };
}
