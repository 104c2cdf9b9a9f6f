/** Figures with their units and intervals, as the views for operators tell them; "–" for what is not known. */
import { count, percent } from "./format";

export const NOTHING = "–";

export const fixed = (value: number | null, digits = 2): string =>
  value === null ? NOTHING : value.toFixed(digits).replace("-", "−");

/** "+0.12", with a real minus sign. */
export const signed = (value: number | null, digits = 2): string =>
  value === null ? NOTHING : `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(digits)}`;

/** 0.0125 → "1.25%", 0.1 → "10%" */
export const exactly = (share: number): string => percent(share, 2).replace(/\.?0+%$/, "%");

export const shareOf = (value: number | null, digits = 0): string =>
  value === null ? NOTHING : percent(value, digits);

/** 8.25 → "8.3 s", 200 → "3 min 20 s", 7300 → "2 h 2 min" */
export function duration(seconds: number | null): string {
  if (seconds === null) return NOTHING;
  if (seconds < 59.95) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 3600) return pair(Math.floor(whole / 60), "min", whole % 60, "s");
  return pair(Math.floor(whole / 3600), "h", Math.floor((whole % 3600) / 60), "min");
}

const pair = (large: number, unit: string, small: number, smaller: string): string =>
  small === 0 ? `${count(large)} ${unit}` : `${count(large)} ${unit} ${small} ${smaller}`;

/** "EUR 1,234.50" */
export const money = (value: number | null, currency: string): string =>
  value === null
    ? NOTHING
    : `${currency} ${value.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 })}`;

/** "1 item", "2 items" */
export const counted = (number: number, one: string, many = `${one}s`): string =>
  `${count(number)} ${number === 1 ? one : many}`;

interface Estimate {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** "2 h 5 min (1 h 50 min to 2 h 20 min)"; a negative time has a minus sign. */
export const estimated = ({ value, low, high }: Estimate, told: (value: number) => string): string =>
  `${told(value)} (${told(low)} to ${told(high)})`;

export const minutes = (value: number): string => `${value < 0 ? "−" : ""}${duration(Math.abs(value) * 60)}`;
