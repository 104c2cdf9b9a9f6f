/** What points can be coloured by. Every colouring is a code of 0 to 255 for each point and a colour for each code, so
 *  that painting looks colours up and computes none. */
import { moment } from "../app/format";
import { type Palette, UNKNOWN_COLOR, colorOf } from "../review/colors";
import type { Columns, Named } from "./columns";
import { STATE_WORDS } from "./facts";

export const COLOURINGS = ["risk", "label", "state", "anomaly", "age", "source"] as const;
export type ColourBy = (typeof COLOURINGS)[number];

/** A group of points of one colour. code: what `hidden` names it by. */
export interface Group {
  readonly code: number;
  readonly name: string;
  readonly colour: string;
  readonly count: number;
}

export type Legend =
  | { readonly kind: "groups"; readonly groups: readonly Group[] }
  | { readonly kind: "ramp"; readonly colours: readonly string[]; readonly low: string; readonly high: string };

export interface Colouring {
  readonly codes: Uint8Array;
  /** "#rrggbb" by code. */
  readonly colours: readonly string[];
  readonly legend: Legend;
  /** Whether higher codes are more remarkable, and are painted over lower ones. */
  readonly ranked: boolean;
}

export const WORDS: Record<ColourBy, string> = {
  risk: "Risk of being wrong",
  label: "Label of the surest detection",
  state: "In people's hands",
  anomaly: "Unlike the training images",
  age: "When it was predicted",
  source: "Source",
};

// From usual to remarkable; brighter all the way, so that it can be read without telling hues apart.
const RAMP = ["#35506f", "#4c6db0", "#8672c4", "#c46fae", "#f18872", "#ffd166"];
const STEPS = 64;

const STATES: Record<string, string> = { open: "#6f8196", task: "#f0b429", truth: "#4cc38a" };

// Okabe and Ito's, lightened where the ground is dark; then one for all that is left.
const NAMED = ["#56b4e9", "#e69f00", "#2fbf8f", "#e08fbe", "#e0662a", "#f0e442", "#6f8cf0", "#b59a6a"];
const OTHERS = "#7d8896";
const NOTHING = "#4a5563";
const MOST_GROUPS = 200; // codes are bytes, and two are needed for others and for nothing

export function colouringOf(columns: Columns, by: ColourBy, labels: Palette): Colouring {
  switch (by) {
    case "risk":
      return ramped(columns.risk, (risk) => risk, "0", "1");
    case "anomaly":
      // A p-value counts by its logarithm: 0.001 is as far from 0.01 as that from 0.1.
      return ramped(columns.anomaly, (p) => -Math.log10(Math.max(p, 1e-3)) / 3, "p 1: usual", "p 0.001");
    case "age":
      return byAge(columns.predictedAt);
    case "label":
      return grouped(columns.label, "nothing found", (name) => [name, colorOf(labels, name)]);
    case "state":
      return grouped(columns.state, "", (name) => [STATE_WORDS[name] ?? name, STATES[name] ?? UNKNOWN_COLOR]);
    case "source":
      return grouped(columns.source, "", (name, rank) => [name || "not named", NAMED[rank] ?? OTHERS]);
  }
}

/** Whether the version knows how usual an image is: without training images, every p is 1. */
export const knowsAnomalies = (columns: Columns): boolean => columns.anomaly.some((p) => p < 1);

function byAge(times: Float64Array): Colouring {
  const first = times.reduce((least, time) => Math.min(least, time), Infinity);
  const last = times.reduce((most, time) => Math.max(most, time), -Infinity);
  const span = Math.max(last - first, 1);
  const day = (time: number): string => (Number.isFinite(time) ? moment(time) : "");
  return ramped(times, (time) => (time - first) / span, day(first), day(last));
}

/** part: of a value, 0 where it is usual and 1 where it is remarkable. */
function ramped(
  values: Float32Array | Float64Array,
  part: (value: number) => number,
  low: string,
  high: string,
): Colouring {
  const codes = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i += 1) {
    codes[i] = Math.min(Math.max(Math.floor(part(values[i] as number) * STEPS), 0), STEPS - 1);
  }
  const colours = Array.from({ length: STEPS }, (_, code) => between(RAMP, code / (STEPS - 1)));
  return { codes, colours, legend: { kind: "ramp", colours: RAMP, low, high }, ranked: true };
}

/** The most frequent names first; those beyond MOST_GROUPS share one group. */
function grouped(
  named: Named,
  nothing: string,
  look: (name: string, rank: number) => readonly [words: string, colour: string],
): Colouring {
  const counts = new Map<number, number>();
  for (const code of named.codes) counts.set(code, (counts.get(code) ?? 0) + 1);
  const order = named.names
    .map((_, place) => place)
    .filter((place) => counts.has(place))
    .sort((a, b) => (counts.get(b) ?? 0) - (counts.get(a) ?? 0));
  const groups: Group[] = order.slice(0, MOST_GROUPS).map((place, code) => {
    const [name, colour] = look(named.names[place] ?? "", code);
    return { code, name, colour, count: counts.get(place) ?? 0 };
  });
  const codeOf = new Map(order.map((place, rank) => [place, Math.min(rank, MOST_GROUPS)]));
  const left = order.slice(MOST_GROUPS);
  if (left.length > 0) {
    const count = left.reduce((sum, place) => sum + (counts.get(place) ?? 0), 0);
    groups.push({ code: MOST_GROUPS, name: `${left.length} others`, colour: OTHERS, count });
  }
  const none = counts.get(-1) ?? 0;
  if (none > 0) groups.push({ code: MOST_GROUPS + 1, name: nothing, colour: NOTHING, count: none });
  const colours: string[] = Array.from({ length: MOST_GROUPS + 2 }, () => NOTHING);
  for (const group of groups) colours[group.code] = group.colour;
  const codes = Uint8Array.from(named.codes, (place) => codeOf.get(place) ?? MOST_GROUPS + 1);
  return { codes, colours, legend: { kind: "groups", groups }, ranked: false };
}

/** A colour of the ramp, part in 0..1. */
function between(ramp: readonly string[], part: number): string {
  const at = Math.min(part, 0.9999) * (ramp.length - 1);
  const [low, high] = [rgbOf(ramp[Math.floor(at)] ?? ""), rgbOf(ramp[Math.floor(at) + 1] ?? "")];
  const rest = at - Math.floor(at);
  return `#${low
    .map((value, channel) => Math.round(value + rest * ((high[channel] ?? 0) - value)))
    .map((value) => value.toString(16).padStart(2, "0"))
    .join("")}`;
}

/** The channels of "#rrggbb", 0 to 255 each. */
export function rgbOf(colour: string): [red: number, green: number, blue: number] {
  const value = Number.parseInt(colour.slice(1), 16) || 0;
  return [value >> 16, (value >> 8) & 255, value & 255];
}
