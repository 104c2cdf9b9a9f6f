/** How long somebody has worked on a task: the page in sight, and a sign of them within the last minute. */
export interface Activity {
  readonly activeMs: number;
  /** Up to when `activeMs` is counted, by this computer's clock. */
  readonly countedTo: number;
  readonly lastSign: number;
  readonly visible: boolean;
}

export type Sign = { type: "input" } | { type: "visible"; visible: boolean } | { type: "time" };

const ACTIVE_FOR_MS = 60_000;

/** A task comes on screen because somebody asked for it. */
export const begunActivity = (now: number, visible = true, activeMs = 0): Activity => ({
  activeMs,
  countedTo: now,
  lastSign: now,
  visible,
});

export function noticed(activity: Activity, sign: Sign, now: number): Activity {
  const counted = upTo(activity, now);
  switch (sign.type) {
    case "input":
      return { ...counted, lastSign: now };
    case "visible":
      return { ...counted, visible: sign.visible };
    case "time":
      return counted;
  }
}

function upTo(activity: Activity, now: number): Activity {
  const until = Math.min(now, activity.lastSign + ACTIVE_FOR_MS);
  const more = activity.visible ? Math.max(until - activity.countedTo, 0) : 0;
  return { ...activity, activeMs: activity.activeMs + more, countedTo: Math.max(now, activity.countedTo) };
}
