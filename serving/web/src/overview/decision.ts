/** Reads what the promotion gate and the evaluation wrote: free JSON in the API, so nothing is taken for granted. */

export interface Clause {
  /** As the gate names it: "slice view night". */
  readonly name: string;
  readonly verdict: "passed" | "failed" | "not judged";
  readonly detail: string;
  readonly numbers: Readonly<Record<string, number | null>>;
}

export interface Verdict {
  readonly promoted: boolean;
  readonly mode: string;
  readonly images: number | null;
  readonly clauses: readonly Clause[];
}

/** One measure of champion and candidate on the same images; `interval` is of the difference. */
export interface Figure {
  readonly name: string;
  readonly champion: number | null;
  readonly candidate: number | null;
  readonly delta: number | null;
  readonly interval: readonly [low: number, high: number] | null;
}

type Fields = Readonly<Record<string, unknown>>;

const MEASURES = [
  ["map50_95", "mAP 50–95"],
  ["map50", "mAP 50"],
] as const;

/** The gate's answer, or null before it was asked. */
export function verdictOf(decision: Fields): Verdict | null {
  if (typeof decision["promoted"] !== "boolean") return null;
  const clauses = Array.isArray(decision["clauses"]) ? decision["clauses"] : [];
  return {
    promoted: decision["promoted"],
    mode: text(fields(decision["settings"])["mode"]).replace("_", "-"),
    images: number(decision["images"]),
    clauses: clauses.map(fields).map((clause) => ({
      name: text(clause["name"]),
      verdict: verdictOn(clause),
      detail: text(clause["detail"]),
      numbers: Object.fromEntries(Object.entries(fields(clause["numbers"])).map(([name, of]) => [name, number(of)])),
    })),
  };
}

/** What could not be judged does not stop a candidate, and has not passed either: the gate says so in words alone. */
function verdictOn(clause: Fields): Clause["verdict"] {
  if (clause["passed"] !== true) return "failed";
  return text(clause["detail"]).startsWith("not judged") ? "not judged" : "passed";
}

/** Of a cycle. champion_id: null where it had nothing to compare with. */
interface Measured {
  readonly champion_id: string | null;
  readonly decision: Fields;
  readonly evaluation: Fields;
}

/** From the gate with its intervals; before it decided, from the evaluation alone. */
export function figuresOf({ champion_id, decision, evaluation }: Measured): Figure[] {
  return MEASURES.flatMap(([key, name]) => {
    const change = fields(decision[key]);
    const before = number(change["champion"]) ?? number(fields(evaluation["before"])[key]);
    const champion = champion_id === null ? null : before;
    const candidate = number(change["candidate"]) ?? number(fields(evaluation["after"])[key]);
    if (champion === null && candidate === null) return [];
    if (champion_id === null) return [{ name, champion, candidate, delta: null, interval: null }];
    const delta = number(change["delta"]) ?? (champion !== null && candidate !== null ? candidate - champion : null);
    return [{ name, champion, candidate, delta, interval: pair(change["interval"]) }];
  });
}

function pair(value: unknown): [number, number] | null {
  const [low, high] = Array.isArray(value) ? value.map(number) : [];
  return low != null && high != null ? [low, high] : null;
}

const fields = (value: unknown): Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {};
const text = (value: unknown): string => (typeof value === "string" ? value : "");
const number = (value: unknown): number | null => (typeof value === "number" && Number.isFinite(value) ? value : null);
