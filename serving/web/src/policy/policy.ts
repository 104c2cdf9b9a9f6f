/** A policy as the document that an operator changes, what of it is not so yet, and how that is told. As
 *  loop/cli/policy_changes.py does it. */
import type { Described } from "../api/problem";
import type { Policy, PolicyBody } from "../api/types";
import { nearestOf } from "./nearest";

export type Plain = Readonly<Record<string, unknown>>;

/** Keys of which single ones can be changed, also those of a list's elements; null: anything may stand there. */
type KeysOf<T> = T extends readonly (infer Element)[]
  ? KeysOf<Element>
  : T extends object
    ? string extends keyof T
      ? null
      : { readonly [Name in keyof T]-?: KeysOf<NonNullable<T[Name]>> }
    : null;

interface Keys {
  readonly [name: string]: Keys | null;
}

// prettier-ignore
const POLICY: KeysOf<PolicyBody> = {
  threshold: null, audit_rate: null, score_threshold: null, failure_iou: null, lease_seconds: null, retain: null,
  retain_rate: null, durability: null,
  queue: {
    risk_weight: null, age_weight: null, deadline_weight: null, overdue_weight: null, stage_boosts: null,
    source_boosts: null, horizon_seconds: null, due_seconds: null, escalate_after_seconds: null,
    escalation_group: null, stage_groups: null,
    skills: { skill: null, stage: null, source: null, label: null },
    people: null, people_share: null, skips_before_expert: null, expert_group: null, max_leases: null,
    max_tasks_a_day: null, blind_share: null, fair_sources: null, source_shares: null,
  },
  functions: {
    name: null, on: null, options: null, shapes: null, original: null,
    button: { label: null, key: null, description: null, needs_selection: null },
  },
  workflow: {
    qa: null, share: null, max_returns: null, rework_patience_seconds: null, proposals: null,
    lots: {
      size: null, close_after_seconds: null, by: null, plan: null, share: null, threshold: null, aql: null,
      ltpd: null, alpha: null, beta: null,
    },
  },
  quality: {
    consensus: { iou: null, min_agreement: null, min_certainty: null },
    golden: { rate: null, again_days: null, qualification: null, training: null },
    standing: { bar: null, confidence: null, min_items: null, window: null },
    labels: { recheck: null },
  },
  gate: { fallback: null, max_wait_seconds: null, min_review_seconds: null },
  guarantee: {
    promises: {
      alpha: null, delta: null, statement: null, loss: null, classes: null, by: null, missed_weight: null,
      false_alarm_weight: null,
    },
    evidence_share: null, window_audits: null, window_days: null, patience_days: null, on_alarm: null,
    when_short: null, hours_a_day: null,
    costs: { review: null, missed: null, false_alarm: null },
  },
  audit_rates: { by_source: null, by_label: null, by_risk: null },
};

/** With the keys that a change of policy takes. */
export const documentOf = ({ version: _, ...document }: Policy): Plain => document;

export type Read = { readonly document: Plain } | { readonly problem: Described };

/** A document as somebody wrote it, or what is wrong with it; what is wrong with its values the service says. */
export function read(text: string): Read {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    return { problem: { title: "This is not JSON", detail, hint: "Look for a comma or a quote at that place." } };
  }
  if (!isPlain(document)) {
    const detail = "A policy is an object, with names and values.";
    return { problem: { title: "This is no policy", detail, hint: "Start again from the present one." } };
  }
  const strange = strangeIn(document, POLICY, "");
  return strange.length > 0 ? { problem: unknownKeys(strange) } : { document };
}

/** What of the document is not so yet: the rest is no change, and is not told as one. */
export function changesTo(present: Policy, document: Plain): Plain {
  const given = Object.fromEntries(Object.entries(document).filter(([, value]) => value !== null));
  return notYet(given, documentOf(present), POLICY);
}

/** What the policy says with the changes. */
export const changed = (present: Policy, changes: Plain): Plain => merged(documentOf(present), changes, POLICY);

export interface Difference {
  readonly place: string;
  /** undefined: it is not there. */
  readonly old: unknown;
  readonly new: unknown;
}

/** Leaf by leaf. Lists are compared element by element where these are maps and as many. */
export function differences(old: unknown, now: unknown, place = ""): Difference[] {
  if (same(old, now)) return [];
  if (isPlain(old) && isPlain(now)) {
    const names = [...new Set([...Object.keys(old), ...Object.keys(now)])];
    return names.flatMap((name) => differences(old[name], now[name], under(place, name)));
  }
  if (areMaps(old) && areMaps(now) && old.length === now.length) {
    return old.flatMap((before, number) => differences(before, now[number], `${place}[${number}]`));
  }
  return [{ place, old, new: now }];
}

export function inWords(value: unknown): string {
  if (value === undefined) return "not there";
  return typeof value === "string" && value !== "" ? value : JSON.stringify(value);
}

function notYet(given: Plain, present: Plain, keys: Keys): Plain {
  const changes: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    const [part, before] = [keys[name], present[name]];
    if (part && isPlain(value) && isPlain(before)) {
      const inner = notYet(value, before, part);
      if (Object.keys(inner).length > 0) changes[name] = inner;
    } else if (!same(value, before)) {
      changes[name] = value;
    }
  }
  return changes;
}

function merged(present: Plain, changes: Plain, keys: Keys): Plain {
  const all: Record<string, unknown> = { ...present };
  for (const [name, value] of Object.entries(changes)) {
    const [part, before] = [keys[name], present[name]];
    all[name] = part && isPlain(value) && isPlain(before) ? merged(before, value, part) : value;
  }
  return all;
}

// --- keys that there are not ----------------------------------------------------------------------------

interface Strange {
  readonly place: string;
  readonly nearest: string | null;
  /** What may stand there. */
  readonly known: readonly string[];
}

function strangeIn(value: unknown, keys: Keys, place: string): Strange[] {
  if (Array.isArray(value)) return value.flatMap((one, number) => strangeIn(one, keys, `${place}[${number}]`));
  if (!isPlain(value)) return [];
  const known = Object.keys(keys);
  return Object.entries(value).flatMap(([name, inner]) => {
    const here = under(place, name);
    if (!known.includes(name)) return [{ place: here, nearest: nearestOf(name, known), known }];
    const part = keys[name];
    return part ? strangeIn(inner, part, here) : [];
  });
}

function unknownKeys(strange: readonly Strange[]): Described {
  const told = strange.slice(0, 5).map(({ place, nearest }) => {
    return nearest === null ? `${place} is not known.` : `${place} is not known, did you mean ${nearest}?`;
  });
  const far = strange.find(({ nearest }) => nearest === null);
  const hint = far ? `What may stand there: ${far.known.join(", ")}.` : "Correct it, or leave it out.";
  return { title: "The policy has no such key", detail: told.join(" "), hint };
}

// --- plain values ---------------------------------------------------------------------------------------

const isPlain = (value: unknown): value is Plain =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const areMaps = (value: unknown): value is readonly Plain[] => Array.isArray(value) && value.every(isPlain);

function same(one: unknown, other: unknown): boolean {
  if (Array.isArray(one) && Array.isArray(other)) {
    return one.length === other.length && one.every((value, number) => same(value, other[number]));
  }
  if (!isPlain(one) || !isPlain(other)) return one === other;
  const names = Object.keys(one);
  const asMany = names.length === Object.keys(other).length;
  return asMany && names.every((name) => Object.hasOwn(other, name) && same(one[name], other[name]));
}

/** A source may be named anything: what could be taken for more than one key is quoted. */
function under(place: string, name: string): string {
  if (!/^[\p{L}_][\p{L}\p{N}_-]*$/u.test(name)) return `${place}[${JSON.stringify(name)}]`;
  return place === "" ? name : `${place}.${name}`;
}
