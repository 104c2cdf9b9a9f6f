/** Times of the clock at which a cycle may begin: as they are typed, checked and told. What is no time zone the service
 *  says. */
import { ProblemError } from "../api/problem";
import type { Triggers } from "../api/types";
import { isRecord } from "../review/keep";

export type Schedule = NonNullable<Triggers["rules"]["schedule"]>;

/** Its name in the form. */
export const SCHEDULE = "At times of the clock";

// prettier-ignore
export const DAYS = {
  mon: "Monday", tue: "Tuesday", wed: "Wednesday", thu: "Thursday", fri: "Friday", sat: "Saturday", sun: "Sunday",
} as const;

const NAMES = Object.keys(DAYS);

/** A draft's schedule, whatever a page has kept; null where there is none. */
export function scheduleIn(value: unknown): Schedule | null {
  if (!isRecord(value)) return null;
  const { at, days, zone } = value;
  const known = Array.isArray(days) ? NAMES.filter((day) => days.includes(day)) : [];
  return { at: typeof at === "string" ? at : "", days: known, zone: typeof zone === "string" ? zone : "" };
}

/** With the day, or without it where it was there; in the week's order. */
export const toggledDay = (days: readonly string[], day: string): string[] =>
  NAMES.filter((name) => (name === day ? !days.includes(name) : days.includes(name)));

/** What is wrong with what was typed, with what may stand there; null where nothing is. */
export function problemWithSchedule(schedule: Schedule | null): string | null {
  if (schedule === null) return null;
  if (!/^([01]\d|2[0-3]):[0-5]\d$/.test(schedule.at)) return "Give a time as 02:30, of 24 hours; empty: never.";
  return schedule.zone === "" ? "Give a time zone, such as Europe/Zurich." : null;
}

/** "Monday and Thursday at 02:30 in Europe/Zurich" */
export function scheduleInWords({ at, days, zone }: Schedule): string {
  const names = Object.entries(DAYS).flatMap(([day, name]) => (days.includes(day) ? [name] : []));
  const all = names.length === 0 || names.length === NAMES.length;
  return `${all ? "Every day" : new Intl.ListFormat("en-GB").format(names)} at ${at} in ${zone}`;
}

/** "Thu 3 Dec 02:30", by the clock of the zone; of Greenwich where this browser does not know it. time: ISO. */
export function timeThere(time: string, zone: string): string {
  const how = { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" } as const;
  const told = (timeZone: string) => new Date(time).toLocaleString("en-GB", { ...how, timeZone }).replaceAll(",", "");
  try {
    return told(zone);
  } catch {
    return `${told("UTC")} UTC`;
  }
}

/** What the service says of the schedule that it refused; null where it speaks of other things. */
export function refusedSchedule(error: unknown): string | null {
  if (!(error instanceof ProblemError)) return null;
  const { detail, ids } = error.problem;
  if (ids?.["field"] === "schedule") return detail;
  const fields = Array.isArray(ids?.["fields"]) ? ids["fields"].filter(isRecord) : [];
  const mine = fields.filter(({ field }) => String(field).startsWith("body.schedule"));
  return mine.length === 0 ? null : mine.map(({ problem }) => `${String(problem)}.`).join(" ");
}

/** Time zones to choose from: those that this browser knows. */
export const knownZones = (): readonly string[] => Intl.supportedValuesOf("timeZone");

export const zoneHere = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone;
