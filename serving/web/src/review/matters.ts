/** What asks for a look before the answer is sent: broken rules, what was returned, what people disagreed on. */
import type { ReturnedIssue } from "../api/types";
import type { Issue, Problem } from "../api/types";
import type { Shape } from "./shapes";

export interface Matter {
  readonly key: string;
  readonly kind: "error" | "warning" | "returned" | "disputed";
  readonly message: string;
  /** Ids of shapes that are there. */
  readonly shapes: readonly string[];
}

interface Sources {
  readonly issues: readonly Issue[];
  readonly returned: readonly ReturnedIssue[];
  readonly disputed: readonly string[];
}

/** Errors first, then what was returned, disputes and warnings. */
export function mattersOf({ issues, returned, disputed }: Sources, shapes: readonly Shape[]): Matter[] {
  const found = issues.map((issue, index) => ({
    key: `${issue.rule}/${index}`,
    kind: issue.severity,
    message: issue.message,
    shapes: present(issue.shapes, shapes),
  }));
  const sent = returned.map((issue, index) => ({
    key: `returned/${index}`,
    kind: "returned" as const,
    message: issue.message,
    shapes: present(issue.shapes, shapes),
  }));
  const open = present(disputed, shapes).map((id) => ({
    key: `disputed/${id}`,
    kind: "disputed" as const,
    message: `People disagree on this ${shapes.find((shape) => shape.id === id)?.label ?? "shape"}`,
    shapes: [id],
  }));
  const of = (kind: Matter["kind"]): Matter[] => found.filter((one) => one.kind === kind);
  return [...of("error"), ...sent, ...open, ...of("warning")];
}

/** "#3" is the fourth shape, as the service names one without an id. */
const present = (named: readonly string[], shapes: readonly Shape[]): string[] =>
  named.flatMap((name) => {
    const place = /^#(\d+)$/.exec(name);
    const shape = place ? shapes[Number(place[1])] : shapes.find(({ id }) => id === name);
    return shape ? [shape.id] : [];
  });

/** The worst that is said of each shape. */
export function pinsOf(matters: readonly Matter[]): ReadonlyMap<string, Matter["kind"]> {
  const pins = new Map<string, Matter["kind"]>();
  for (const matter of matters) for (const id of matter.shapes) if (!pins.has(id)) pins.set(id, matter.kind);
  return pins;
}

/** The shape to look at after `selected`: round through all that something is said of. */
export function nextMatter(matters: readonly Matter[], selected: string | null, by: 1 | -1): string | null {
  const ids = [...pinsOf(matters).keys()];
  if (ids.length === 0) return null;
  const index = selected === null ? -1 : ids.indexOf(selected);
  const next = index < 0 ? (by === 1 ? 0 : ids.length - 1) : (index + by + ids.length) % ids.length;
  return ids[next] ?? null;
}

/** The issues in a refusal by the recipe's rules, or null where it is another problem. */
export function issuesIn(problem: Problem): Issue[] | null {
  const issues = problem.ids?.["issues"];
  if (!problem.type.endsWith("/rules-broken") || !Array.isArray(issues)) return null;
  return issues.filter(isIssue).map((issue) => ({ ...issue, shapes: Array.isArray(issue.shapes) ? issue.shapes : [] }));
}

const isIssue = (value: unknown): value is Issue =>
  typeof value === "object" && value !== null && "message" in value && "severity" in value && "rule" in value;
