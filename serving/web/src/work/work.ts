/** What work takes and costs, in words. */
import type { AmbiguousItem, Bias, Everything, Rates, Requeued, Spent, WorkRow } from "../api/types";
import { NOTHING, counted, duration, signed } from "../app/figures";
import { count, percent } from "../app/format";

/** "12.0 s (8.0 s to 18.0 s)" of an answer: the median, and one robust standard deviation to both sides. */
export const paceOf = ({ median_seconds, low_seconds, high_seconds }: WorkRow): string =>
  pace(median_seconds, low_seconds, high_seconds);

/** The same of a judgement. */
export const judgingOf = ({ judging_median_seconds, judging_low_seconds, judging_high_seconds }: WorkRow): string =>
  pace(judging_median_seconds, judging_low_seconds, judging_high_seconds);

const pace = (median: number | null, low: number | null, high: number | null): string =>
  median === null ? NOTHING : `${duration(median)} (${duration(low)} to ${duration(high)})`;

/** What QA gave back or corrected of somebody's answers: "12% of 25". */
export const defectsOf = ({ defect_share, inspected }: WorkRow): string =>
  defect_share === null ? NOTHING : `${percent(defect_share)} of ${count(inspected)}`;

/** Whether people correct less where they are shown a prediction, in a sentence. */
export function biasInWords({ found, low, high }: Bias): string {
  if (found) return "People let stand what they would not have drawn themselves.";
  return high < 0
    ? "People correct more where they are shown the prediction."
    : `No automation bias is shown: the interval from ${signed(low)} to ${signed(high)} has 0 in it.`;
}

export const perItem = ({ money, items }: Spent): number | null =>
  money === null || items === 0 ? null : money / items;

/** On what the estimate for all items rests. */
export const basisOf = ({ audits, sample }: Everything): string =>
  audits
    ? `by the time of ${counted(sample, "audit")}, which are drawn from all items`
    : `by the time of ${counted(sample, "answer")}, to items chosen for being hard: easy ones would take less`;

/** Why an item is ambiguous: people answered differently, or took long. */
export function whyAmbiguous({ agreement, deviation }: AmbiguousItem): string {
  const long = deviation >= 2 ? `took ${deviation.toFixed(1)} standard deviations longer than usual` : "";
  const apart = agreement !== null && agreement < 0.8 ? `answers agree to ${agreement.toFixed(2)} (F1)` : "";
  return [apart, long].filter((part) => part !== "").join("; ");
}

/** What came of asking the experts again. */
export function requeuedInWords({ items, left }: Requeued): { title: string; detail: string } {
  const whys = [...new Set(left.map((one) => one.why))];
  return {
    title: `${counted(items.length, "item is", "items are")} open again for the experts`,
    detail: left.length === 0 ? "" : `${counted(left.length, "is", "are")} left as they are: ${whys.join("; ")}`,
  };
}

/** The rates as they were typed, or what is wrong with them. Empty texts: not known, or as everybody. */
export function ratesFrom(
  currency: string,
  perHour: string,
  people: Readonly<Record<string, string>>,
): { rates: Rates } | { wrong: string } {
  const code = currency.trim().toUpperCase();
  if (!/^[A-Z]{3}$/.test(code)) return { wrong: "Name the currency with three letters, as EUR." };
  const given = [perHour, ...Object.values(people)].filter((text) => text.trim() !== "");
  if (given.some((text) => !(Number(text) >= 0 && Number.isFinite(Number(text))))) {
    return { wrong: "An hour costs a number, 0 or more." };
  }
  const own = Object.entries(people).filter(([, text]) => text.trim() !== "");
  return {
    rates: {
      currency: code,
      per_hour: perHour.trim() === "" ? null : Number(perHour),
      people: Object.fromEntries(own.map(([id, text]) => [id, Number(text)])),
    },
  };
}
