/** Promises, thresholds and the quality of production, in words. */
import type { Guarantee, GroupThreshold, Policy, ProductionSeries, Promised, Thresholds } from "../api/types";
import { NOTHING, counted, exactly, money } from "../app/figures";
import { count } from "../app/format";

export const PHASES: Record<Guarantee["phase"], { tone: string; words: string }> = {
  crawl: { tone: "info", words: "Too little is known yet: people look at everything." },
  walk: { tone: "warn", words: "There is enough to judge, but nothing passes yet, or only some groups." },
  run: { tone: "good", words: "People look at what is risky, and at audits." },
};

const LOSSES: Record<Promised["loss"], string> = {
  failure: "fail",
  missed: "miss an object",
  false_alarm: "show something that is not there",
  cost: "err, by what errors cost,",
};
const GROUPS: Record<Promised["by"], string> = {
  none: "all predictions",
  source: "the predictions of each source",
  label: "the predictions that show each label",
};

/** "Of all predictions at most 5% fail and pass without a person; the probability that this is wrong is at most 10%" */
export function promiseInWords({ alpha, delta, statement, loss, classes, by }: Promised): string {
  const which = classes.length > 0 ? ` (${classes.join(", ")} only)` : "";
  const rate = statement === "expected" ? `on average at most ${exactly(alpha)}` : `at most ${exactly(alpha)}`;
  const sure = statement === "expected" ? "" : `; the probability that this is wrong is at most ${exactly(delta)}`;
  return `Of ${GROUPS[by]} ${rate} ${LOSSES[loss]}${which} and pass without a person${sure}`;
}

/** "source=line 1" → "source line 1" */
export function groupInWords(group: string): string {
  const known: Record<string, string> = { all: "all predictions", nothing: "shows nothing", other: "all other groups" };
  return known[group] ?? group.replace("=", " ");
}

/** How many more audits would let how much of a group pass, should they be like those that there are. */
export function neededInWords(needed: GroupThreshold["needed"]): string {
  const parts = needed.map(({ automation, audits }) => {
    const much = exactly(automation);
    if (audits === null) return `${much}: too much fails`;
    return audits === 0 ? `${much}: enough` : `${much}: ${count(audits)} more`;
  });
  return [...new Set(parts)].join(" · ");
}

/** What a threshold does. It is 0 where nothing passes. */
export const thresholdInWords = (value: number): string => (value <= 0 ? "nothing passes" : value.toFixed(3));

export const WHYS: Record<Thresholds["why"], string> = {
  begun: "first of this model, risk and policy",
  answers: "new answers",
  risk: "the risk was learned again",
  broken: "a promise was broken",
  over: "the promise is kept again",
  accepted: "accepted by a person",
};

export const BASES: Record<Thresholds["basis"], string> = {
  seen: "all answers",
  audits: "audits alone, while others wait",
};

/** What of the answers of a record counts as failed without having been seen. */
export function unseenInWords({ closed, overdue }: Pick<Thresholds, "closed" | "overdue">): string {
  const parts = [
    closed > 0 ? `${count(closed)} that nobody could say` : "",
    overdue > 0 ? `${count(overdue)} that nobody answered in time` : "",
  ].filter((part) => part !== "");
  return parts.length === 0 ? "" : `${parts.join(" and ")} count as failures.`;
}

/** What has to come before anything can be told of production; empty where there is something. */
export function tooLittle({ answers, predictions }: { answers: number; predictions: number }, waiting: number): string {
  if (answers > 0) return "";
  if (predictions === 0 && waiting > 0) {
    const wait = counted(waiting, "prediction waits", "predictions wait");
    return `${wait} for people, and nothing before tells of quality: once they are answered, at Review, figures come.`;
  }
  return predictions === 0
    ? "Nothing was predicted in this time, or nothing that had a chance to be audited. " +
        "Send images, at Items or over the API; what people answer to them fills this."
    : `Of ${counted(predictions, "prediction")} people have answered none that counts yet. The tasks wait at Review.`;
}

/** 3.25 → "3.3 h" */
export const hours = (value: number | null): string => (value === null ? NOTHING : `${value.toFixed(1)} h`);

/** What people's time is asked for, and whether it is too little; no verdict while nothing is known of either. */
export function capacityInWords(capacity: Pick<Guarantee["capacity"], "hours_needed" | "hours_had" | "short">): {
  readonly words: string;
  readonly short: boolean;
} {
  const { hours_needed: needed, hours_had: had, short } = capacity;
  if (!needed && !had) return { words: "not known yet", short: false };
  return { words: `needs ${hours(needed)}, have ${hours(had)}`, short };
}

/** Against reviewing everything. */
export const savedInWords = (saved: number, currency: string): string =>
  saved < 0
    ? `${money(-saved, currency)} more than reviewing everything`
    : `${money(saved, currency)} less than reviewing everything`;

export interface Days {
  readonly from: number;
  readonly until: number;
  readonly ticks: readonly { readonly at: number; readonly words: string }[];
}

const MOST_DAYS_TOLD = 4;
const HALF_A_DAY_MS = 43_200_000;

/** The days of a series as an axis, in milliseconds: the first, the last, and some between them. One alone is in the
 *  middle. */
export function daysOf(points: readonly Pick<ProductionSeries["points"][number], "day">[]): Days {
  const days = points.map(({ day }) => Date.parse(day));
  const [from = 0, until = from] = [days[0], days.at(-1)];
  const steps = Math.min(MOST_DAYS_TOLD - 1, days.length - 1);
  const places = Array.from({ length: steps + 1 }, (_, step) =>
    steps === 0 ? 0 : Math.round((step * (days.length - 1)) / steps),
  );
  const ticks = [...new Set(places)].map((place) => ({ at: days[place] ?? 0, words: dayInWords(days[place] ?? 0) }));
  const aside = from === until ? HALF_A_DAY_MS : 0;
  return { from: from - aside, until: until + aside, ticks };
}

const dayInWords = (time: number): string =>
  new Date(time).toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" });

/** The upper end of an axis of rates: a little above the largest, at most 1. */
export const topOf = (rates: readonly number[]): number =>
  Math.min(Math.max(Math.ceil(Math.max(0, ...rates) * 20) / 20, 0.05), 1);

/** By what it is decided which predictions pass. Where something is promised, the policy's own threshold does not count. */
export function deciderInWords({ threshold, guarantee }: Pick<Policy, "threshold" | "guarantee">): string {
  const promises = guarantee.promises.length;
  if (promises === 0) return `risk threshold ${threshold.toFixed(2)}`;
  return promises === 1 ? "the promise decides which pass" : `${promises} promises decide which pass`;
}
