/** A promise while somebody makes it: what is typed, what is asked of the service for it, and what it refuses. */
import type { Problem, Project, Promised } from "../api/types";

/** Rates as people write them, in percent. */
export interface Typed {
  readonly alpha: string;
  readonly delta: string;
  readonly audit: string;
  readonly missedWeight: string;
  readonly falseAlarmWeight: string;
  readonly statement: Promised["statement"];
  readonly loss: Promised["loss"];
  readonly by: Promised["by"];
  readonly classes: readonly string[];
}

/** Where a flaw is shown; `promise`: no single field. */
export type Field = "alpha" | "delta" | "audit_rate" | "missed_weight" | "false_alarm_weight" | "classes" | "promise";
export type Flaws = Partial<Record<Field, string>>;

/** The change of a policy that is asked for. audit_rate: only where it is another, since any change is kept. */
export interface Asked {
  readonly guarantee: { readonly promises: readonly Promised[] };
  readonly audit_rate?: number;
}

export const LOSS_NAMES: Record<Promised["loss"], string> = {
  failure: "any failure: something is to be corrected",
  missed: "a missed object",
  false_alarm: "a false alarm: something shown that is not there",
  cost: "what errors cost, each with its weight",
};
export const BY_NAMES: Record<Promised["by"], string> = {
  none: "all predictions together",
  source: "the predictions of each source",
  label: "the predictions that show each label",
};
export const STATEMENT_NAMES: Record<Promised["statement"], string> = {
  "high-probability": "with high probability",
  expected: "on average",
};

const USUAL: Promised = {
  alpha: 0.05,
  delta: 0.1,
  statement: "high-probability",
  loss: "failure",
  classes: [],
  by: "none",
  missed_weight: 1,
  false_alarm_weight: 1,
};

/** present: to be changed; null: a new one. */
export function typedOf(present: Promised | null, auditRate: number): Typed {
  const { alpha, delta, missed_weight, false_alarm_weight, ...chosen } = present ?? USUAL;
  return {
    ...chosen,
    alpha: inPercent(alpha),
    delta: inPercent(delta),
    audit: inPercent(auditRate),
    missedWeight: String(missed_weight),
    falseAlarmWeight: String(false_alarm_weight),
  };
}

/** Promises with this one at its place, or beside them; or what of it is no number. What has no meaning beside the rest,
 *  and is not shown, is as usual. */
export function askedOf(
  typed: Typed,
  promises: readonly Promised[],
  place: number | null,
  auditRate: number,
): { readonly asked: Asked } | { readonly flaws: Flaws } {
  const { statement, loss, by, classes } = typed;
  const numbers = {
    alpha: rateIn(typed.alpha),
    delta: statement === "expected" ? USUAL.delta : rateIn(typed.delta),
    audit_rate: rateIn(typed.audit),
    missed_weight: loss === "cost" ? numberIn(typed.missedWeight) : USUAL.missed_weight,
    false_alarm_weight: loss === "cost" ? numberIn(typed.falseAlarmWeight) : USUAL.false_alarm_weight,
  };
  const wrong = Object.entries(numbers).filter(([, value]) => Number.isNaN(value));
  if (wrong.length > 0) return { flaws: Object.fromEntries(wrong.map(([name]) => [name, "Give a number."])) };
  const { audit_rate, ...rates } = numbers;
  const made: Promised = { ...rates, statement, loss, by, classes: [...classes] };
  return {
    asked: {
      guarantee: {
        promises: place === null ? [...promises, made] : promises.map((one, at) => (at === place ? made : one)),
      },
      ...(audit_rate === auditRate ? {} : { audit_rate }),
    },
  };
}

/** What the service refuses, at the field that it names. */
export function flawsOf({ detail, hint, ids }: Pick<Problem, "detail" | "hint" | "ids">): Flaws {
  const said = hint ? `${detail} ${hint}` : detail;
  const { field, fields } = ids as { field?: unknown; fields?: readonly { field: string; problem: string }[] };
  if (typeof field === "string") return { [fieldOf(field)]: said };
  if (fields === undefined) return { promise: said };
  // Of the shape of the request: "body.guarantee.promises.0.alpha".
  return Object.fromEntries(fields.map(({ field: path, problem }) => [fieldOf(path.split(".").pop() ?? ""), problem]));
}

const FIELDS = new Set<string>(["alpha", "delta", "audit_rate", "missed_weight", "false_alarm_weight", "classes"]);

const fieldOf = (name: string): Field => (FIELDS.has(name) ? (name as Field) : "promise");

/** Whether somebody else changed what is promised since `seen`. */
export const changedSince = (seen: readonly Promised[], { policy }: Pick<Project, "policy">): boolean =>
  JSON.stringify(seen.map(Object.entries)) !== JSON.stringify(policy.guarantee.promises.map(Object.entries));

const inPercent = (rate: number): string => String(tidy(rate * 100));
const rateIn = (text: string): number => tidy(numberIn(text) / 100);
const numberIn = (text: string): number => (text.trim() === "" ? Number.NaN : Number(text.replace(",", ".")));
/** Without what binary fractions leave behind. */
const tidy = (value: number): number => Number(value.toPrecision(12));
