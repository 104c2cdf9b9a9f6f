/** The images that somebody points at, has picked and has selected, as rows of the present drawing. */
import { useState } from "react";
import { type Columns, rowsOf } from "./columns";

export interface Chosen {
  readonly hovered: number | null;
  readonly picked: number | null;
  readonly selected: Int32Array;
}

const NOTHING: Chosen = { hovered: null, picked: null, selected: new Int32Array() };

export function useChosen(columns: Columns) {
  const [known, setKnown] = useState({ columns, chosen: NOTHING });
  // Changed while rendering, not in an effect: nothing may be rendered with rows of the drawing before.
  if (known.columns !== columns) setKnown({ columns, chosen: foundAgain(known.chosen, known.columns, columns) });
  const change = (next: Partial<Chosen>) => setKnown((old) => ({ ...old, chosen: { ...old.chosen, ...next } }));
  return {
    chosen: known.columns === columns ? known.chosen : NOTHING,
    hover: (hovered: number | null) => change({ hovered }),
    pick: (picked: number | null) => change({ picked }),
    select: (selected: Int32Array) => change({ selected }),
    clear: () => change({ picked: null, selected: NOTHING.selected }),
  };
}

/** A new drawing has its rows elsewhere: what was picked and selected is found again by its images. */
export function foundAgain(chosen: Chosen, before: Columns, after: Columns): Chosen {
  const among = (rows: Iterable<number>): Int32Array =>
    rowsOf(after, new Set(Array.from(rows, (row) => before.item(row))));
  return {
    hovered: null,
    picked: chosen.picked === null ? null : (among([chosen.picked])[0] ?? null),
    selected: among(chosen.selected),
  };
}
