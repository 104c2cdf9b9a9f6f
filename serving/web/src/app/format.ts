/** Numbers and times as people read them. */

export const count = (value: number): string => value.toLocaleString("en-US");

export const percent = (value: number, digits = 0): string => `${(value * 100).toFixed(digits)}%`;

export const share = (part: number, whole: number): string => (whole > 0 ? percent(part / whole, 1) : "–");

/** 75 → "1:15" */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** The one format of times, in the browser's zone: "26 Nov, 14:05", of other years "26 Nov 2025, 14:05". time: ISO, or
 *  milliseconds. */
export function moment(time: string | number, now = Date.now()): string {
  const at = new Date(time);
  const year = at.getFullYear() === new Date(now).getFullYear() ? {} : { year: "numeric" as const };
  return at.toLocaleString("en-GB", { day: "numeric", month: "short", ...year, hour: "2-digit", minute: "2-digit" });
}

/** "just now", "12 s ago", "3 min ago", then when it was. */
export function ago(time: string, now: number): string {
  const seconds = Math.max(0, (now - Date.parse(time)) / 1000);
  if (Number.isNaN(seconds)) return "";
  if (seconds < 3) return "just now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return moment(time, now);
}

export function bytes(value: number): string {
  if (value < 1024) return `${value} B`;
  return value < 1024 ** 2 ? `${(value / 1024).toFixed(1)} kB` : `${(value / 1024 ** 2).toFixed(1)} MB`;
}

export const short = (digest: string): string => (digest.length > 12 ? `${digest.slice(0, 12)}…` : digest);

/** An id as it is read in a list: its kind and its end, since ids made near one another begin alike.
 *  "task_019a3f6c1b2e4d5f60718293a4b5c6d7" → "task_…b5c6d7"; a digest or a number as `short` has it. */
export function shortId(id: string): string {
  const [, kind, rest] = /^([a-z]+_)([0-9a-f]{24,})$/.exec(id) ?? [];
  return kind === undefined || rest === undefined ? short(id) : `${kind}…${rest.slice(-6)}`;
}
