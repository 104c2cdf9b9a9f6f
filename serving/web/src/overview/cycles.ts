/** What asks for cycles by itself, in words; calls of single cycles. */
import { type Api, at } from "../api/client";
import type { Cycle, ItemPage, Triggers } from "../api/types";
import { exactly } from "../app/figures";
import { count, moment } from "../app/format";

export const cancelCycle = (api: Api, project: string, cycle: string, reason: string) =>
  api.json<Cycle>("POST", at(project, `/cycles/${encodeURIComponent(cycle)}/cancel`), { reason });

/** Whether any item has a ground truth, of which a cycle could train. */
export const hasTruth = async (api: Api, project: string): Promise<boolean> => {
  const asked = new URLSearchParams({ q: "truth = yes", limit: "1" });
  return (await api.json<ItemPage>("GET", at(project, `/items?${asked.toString()}`))).items.length > 0;
};

const REPORT_KEPT_MS = 60_000;

/** The cycle's report in a tab of its own. It is fetched, since a link would not carry the token; it runs no script. */
export async function openReport(api: Api, project: string, cycle: string): Promise<void> {
  const tab = window.open("", "_blank"); // at once: later it would be a pop-up that browsers keep shut
  try {
    const page = await api.send("GET", at(project, `/cycles/${encodeURIComponent(cycle)}/report`));
    const address = URL.createObjectURL(new Blob([await page.text()], { type: "text/html" }));
    if (tab === null) throw new Error("The browser keeps new tabs shut; allow them for this page.");
    tab.opener = null;
    tab.location.replace(address);
    window.setTimeout(() => URL.revokeObjectURL(address), REPORT_KEPT_MS);
  } catch (error) {
    tab?.close();
    throw error;
  }
}

export interface Trigger {
  readonly name: string;
  readonly asks: string;
  readonly now: string;
  readonly holds: boolean;
}

/** Those that are set, each with when it asks for a cycle, how far it is, and whether it holds. */
export function triggersInWords({ rules, situation, conditions }: Triggers): Trigger[] {
  const all: (Omit<Trigger, "holds"> | null)[] = [
    rules.reviewed === null
      ? null
      : { name: "reviewed", asks: `${count(rules.reviewed)} items reviewed`, now: count(situation.reviewed) },
    rules.corrected === null
      ? null
      : { name: "corrected", asks: `${count(rules.corrected)} items corrected`, now: count(situation.corrected) },
    rules.failure_rate === null
      ? null
      : {
          name: "failure_rate",
          asks: `a failure rate surely above ${exactly(rules.failure_rate)}`,
          now: situation.failure_rate === null ? "not known" : `at least ${exactly(situation.failure_rate)}`,
        },
    rules.drift ? { name: "drift", asks: "the drift alarm", now: situation.drift ? "on" : "off" } : null,
    rules.every_hours === null
      ? null
      : {
          name: "every_hours",
          asks: `${count(rules.every_hours)} h after the last cycle`,
          now: situation.ended_at === null ? "no cycle has ended" : `ended ${moment(situation.ended_at)}`,
        },
    rules.schedule === null
      ? null
      : {
          name: "schedule",
          asks: `${rules.schedule.days.join(", ") || "every day"} at ${rules.schedule.at} (${rules.schedule.zone})`,
          now: conditions.find(({ name }) => name === "schedule")?.said ?? "",
        },
  ];
  const holding = new Set(conditions.filter(({ holds }) => holds).map(({ name }) => name));
  return all.filter((one) => one !== null).map((one) => ({ ...one, holds: holding.has(one.name) }));
}
