/** Settings that a form shows: what kind of value stands at which place of a document, and how it is typed. */
import type { Described } from "../api/problem";
import type { Plain } from "./policy";

/** Dotted places of T's single values; in maps any key. */
export type PlaceIn<T, Under extends string = ""> = {
  [Name in keyof T & string]-?: NonNullable<T[Name]> extends readonly unknown[]
    ? never
    : NonNullable<T[Name]> extends object
      ? PlaceIn<NonNullable<T[Name]>, `${Under}${Name}.`>
      : string extends Name
        ? `${Under}${string}`
        : `${Under}${Name}`;
}[keyof T & string];

interface About<Place extends string> {
  readonly place: Place;
  readonly name: string;
  readonly help: string;
  /** Shown only where another setting has one of these values. */
  readonly where?: readonly [place: Place, ...values: string[]];
}

interface Bounds {
  readonly min: number;
  readonly max: number;
  /** What it means to leave it empty; without it a number must be given. */
  readonly empty?: string;
}

/** share: 0 to 1, typed in %. count: whole. span: in seconds (or what `per` is 1 of), typed in `unit`. */
export type Setting<Place extends string = string> = About<Place> &
  (
    | (Bounds & { readonly kind: "share" })
    | (Bounds & { readonly kind: "count"; readonly unit: string; readonly absent?: number })
    | (Bounds & { readonly kind: "span"; readonly unit: string; readonly per: number })
    | { readonly kind: "choice"; readonly options: Readonly<Record<string, string>> }
    | { readonly kind: "switch" }
  );

export interface Section<Place extends string = string> {
  readonly title: string;
  readonly settings: readonly Setting<Place>[];
}

export type NumberSetting = Extract<Setting, Bounds>;

export function valueAt(document: Plain, place: string): unknown {
  return place.split(".").reduce<unknown>((inner, name) => (isPlain(inner) ? inner[name] : undefined), document);
}

/** The document with that value at the place; what is beside it stays. */
export function withValue(document: Plain, place: string, value: unknown): Plain {
  const [name = "", ...rest] = place.split(".");
  if (rest.length === 0) return { ...document, [name]: value };
  const inner = document[name];
  return { ...document, [name]: withValue(isPlain(inner) ? inner : {}, rest.join("."), value) };
}

/** Those that mean something in this document. */
export const settingsFor = (settings: readonly Setting[], document: Plain): Setting[] =>
  settings.filter(({ where }) => {
    if (!where) return true;
    const [place, ...values] = where;
    return values.includes(String(valueAt(document, place)));
  });

/** As it is typed: 0.05 of a share is "5", an hour in minutes "60"; empty where there is none. */
export function shown(setting: NumberSetting, value: unknown): string {
  const number = typeof value === "number" ? value : setting.kind === "count" ? setting.absent : undefined;
  return number === undefined ? "" : String(exact(number / unitOf(setting)));
}

/** What was typed, as the document has it: null where nothing is and that may be; undefined where it is no number. */
export function typed(setting: NumberSetting, text: string): number | null | undefined {
  if (text.trim() === "") return setting.empty === undefined ? undefined : null;
  const number = Number(text);
  return Number.isFinite(number) ? exact(number * unitOf(setting)) : undefined;
}

export const unitWords = (setting: NumberSetting): string => (setting.kind === "share" ? "%" : setting.unit);

/** "0 to 100 %", "1 to 20 people; empty: no limit"; a second in days is "more than 0" */
export function rangeInWords(setting: NumberSetting): string {
  const { min, max, empty } = setting;
  const told = (bound: number) => exact(bound / unitOf(setting)).toLocaleString("en-US");
  const low = min > 0 && told(min) === "0" ? "more than 0, at most" : `${told(min)} to`;
  return `${low} ${told(max)} ${unitWords(setting)}${empty === undefined ? "" : `; empty: ${empty}`}`;
}

/** What is wrong with a value, with what may stand there; null where nothing is. */
export function problemWith(setting: Setting, value: unknown): string | null {
  if (setting.kind === "choice") {
    const known = Object.keys(setting.options);
    return known.includes(String(value)) ? null : `Choose one of ${known.join(", ")}.`;
  }
  if (setting.kind === "switch") return typeof value === "boolean" ? null : "Choose on or off.";
  if (value === null && setting.empty !== undefined) return null;
  if (value === undefined && setting.kind === "count" && setting.absent !== undefined) return null;
  const sound = typeof value === "number" && value >= setting.min && value <= setting.max;
  const whole = setting.kind !== "count" || Number.isInteger(value);
  return sound && whole ? null : `Give ${setting.kind === "count" ? "a whole number, " : ""}${rangeInWords(setting)}.`;
}

/** What of the settings shown cannot be, in words. */
export const wrongIn = (sections: readonly Section[], document: Plain): string[] =>
  sections
    .flatMap(({ settings }) => settingsFor(settings, document))
    .flatMap((setting) => {
      const problem = problemWith(setting, valueAt(document, setting.place));
      return problem === null ? [] : [`${setting.name}: ${problem}`];
    });

/** Why a document cannot be saved, by what of it is wrong; null where it can. */
export function refusalOf(wrong: readonly string[]): Described | null {
  return wrong.length === 0 ? null : { title: "These cannot be saved", detail: wrong.join(" "), hint: "" };
}

const unitOf = (setting: NumberSetting): number =>
  setting.kind === "share" ? 0.01 : setting.kind === "span" ? setting.per : 1;

/** Without what binary fractions add: 0.07 * 100 is 7. */
const exact = (number: number): number => Number(number.toPrecision(12));

const isPlain = (value: unknown): value is Plain =>
  typeof value === "object" && value !== null && !Array.isArray(value);
