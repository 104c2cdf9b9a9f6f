/** Of how many days something is told. */

const DAY_MS = 86_400_000;

/** Since when, for so many days until now, on a whole minute, so that the same question is not another each second. */
export const sinceOf = (days: number, now: number): string =>
  new Date(Math.floor((now - days * DAY_MS) / 60_000) * 60_000).toISOString();

export const spanInWords = (days: number): string => (days === 1 ? "the last day" : `the last ${days} days`);
