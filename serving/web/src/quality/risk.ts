/** How well the risk tells which predictions people correct, in words. */
import { type Api, at } from "../api/client";
import type { Risk, RiskQuality } from "../api/types";
import { counted } from "../app/figures";
import { moment } from "../app/format";

export const risk = (api: Api, project: string) => api.json<Risk>("GET", at(project, "/risk"));

/** Which figures tell how good the risk in use is, and on what they were measured. */
export function measuredOf({ in_use: inUse, learned, routed_by: routedBy }: Risk): RiskFigures[] {
  const rows: RiskFigures[] = [];
  if (learned) rows.push({ name: "Learned, on reviews held out", quality: learned.quality });
  if (learned?.audits) rows.push({ name: "Learned, on audits alone", quality: learned.audits });
  if (routedBy)
    rows.push({ name: inUse === "learned" ? "As it was when they were routed" : "The rule, on all reviews", quality: routedBy });
  return rows;
}

export interface RiskFigures {
  readonly name: string;
  readonly quality: RiskQuality;
}

/** What gives predictions their risk, since when, and what taught it. */
export function sourceInWords({ in_use: inUse, learned, learned_at: at, reviewed, why }: Risk): string {
  if (inUse === "learned" && learned) {
    const since = at === null ? "" : ` since ${moment(at)}`;
    const more = reviewed > learned.fitted_on ? ` ${counted(reviewed, "review")} there are now; it learns again after each 100 more.` : "";
    return `In use${since}: learned from ${counted(learned.fitted_on, "review")} of the champion’s predictions.${more}`;
  }
  if (learned) return "In use: a fixed rule, since selection.learn_risk is off in the settings. What was learned is not used.";
  return `In use: a fixed rule, which gives an order and no probability. To learn from there are ${why}`;
}

/** Whether a risk is better than saying the failure rate each time. */
export const isBetter = ({ brier, base }: Pick<RiskQuality, "brier" | "base">): boolean => brier < base;
