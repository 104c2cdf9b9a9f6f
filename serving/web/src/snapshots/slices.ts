/** Slices as the page tells them: how many items, and how good the champion was on them when it was last judged. */
import type { Cycle, Evaluation, SavedView, SliceFigures, Slices, SlicesBody } from "../api/types";
import { count } from "../app/format";

export interface Judged {
  readonly cycle: Cycle;
  /** Which of the two models that were compared is the champion now. */
  readonly as: "champion" | "candidate";
}

export interface Known {
  readonly slices: Slices;
  readonly views: readonly SavedView[];
  /** By view; null: its query cannot be read any more. */
  readonly counts: ReadonlyMap<string, { readonly count: number; readonly more: boolean } | null>;
  readonly judged: (Judged & { readonly figures: Evaluation }) | null;
}

/** The newest cycle that judged the present champion. */
export function championIn(cycles: readonly Cycle[], champion: string | null): Judged | null {
  if (champion === null) return null;
  for (const cycle of cycles) {
    if (!("clauses" in cycle.decision)) continue;
    if (cycle.candidate_id === champion) return { cycle, as: "candidate" };
    if (cycle.champion_id === champion) return { cycle, as: "champion" };
  }
  return null;
}

/** In place of a view's name. */
export const EVERY_VIEW = "*";

export interface SliceRow {
  readonly view: string;
  /** Null: the view was removed, or it is EVERY_VIEW. */
  readonly query: string | null;
  readonly margin: number;
  /** Whether the margin is the one that all have. */
  readonly usual: boolean;
  readonly items: string;
  readonly judged: string;
  /** mAP 50–95 of the champion; null where it is not known. */
  readonly figure: number | null;
  readonly note: string;
}

export function rowsOf({ slices, counts, judged }: Known): SliceRow[] {
  return slices.slices.map(({ view, query, margin }) => {
    const items = counts.get(view);
    const measured = judged?.figures.slices.find((one) => one.kind === "view" && one.name === view);
    const figures = judged && measured ? figuresOf(measured, judged.as) : null;
    return {
      view,
      query,
      margin: margin ?? slices.margin,
      usual: margin === null,
      items: items ? `${count(items.count)}${items.more ? " or more" : ""}` : "–",
      judged: measured ? count(measured.images) : "–",
      figure: figures?.ap ?? null,
      note: view === EVERY_VIEW ? "each saved view that is not named" : noteOf(query === null, items === null, measured),
    };
  });
}

const figuresOf = ({ figures }: SliceFigures, as: Judged["as"]) => (as === "candidate" ? figures.after : figures.before);

function noteOf(removed: boolean, unreadable: boolean, measured: SliceFigures | undefined): string {
  if (removed) return "the view was removed";
  if (unreadable) return "its query cannot be read any more";
  return measured ? measured.note : "not judged yet";
}

/** Views that are no slice yet. */
export const freeViews = ({ slices, views }: Known): SavedView[] =>
  views.filter(({ name }) => slices.slices.every(({ view }) => view !== name));

const bodyOf = ({ slices }: Slices): SlicesBody["slices"] => slices.map(({ view, margin }) => ({ view, margin }));

export const without = (slices: Slices, view: string): SlicesBody => ({
  slices: bodyOf(slices).filter((one) => one.view !== view),
});

/** margin: null: the one that all have. */
export const withSlice = (slices: Slices, view: string, margin: number | null): SlicesBody => ({
  slices: [...bodyOf(slices), { view, margin }],
});

/** What was typed, in points of mAP: "" is the usual one; undefined where it is none. */
export function marginTyped(text: string): number | null | undefined {
  if (text.trim() === "") return null;
  const number = Number(text.replace(",", "."));
  return Number.isFinite(number) && number >= 0 && number < 1 ? number : undefined;
}
