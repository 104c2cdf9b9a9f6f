/** From one item of a list to the next: the list as it was when one of them was opened, so that what changes meanwhile
 *  neither skips nor repeats any. */
import type { Page } from "../app/asked";
import { count as inWords } from "../app/format";
import type { Found } from "./calls";
import type { Asked } from "./queries";

export interface Walk {
  readonly asked: Asked;
  readonly digests: readonly string[];
  /** Where the rest of the list begins; null where this is all. */
  readonly next: string | null;
  /** Of all that met the query; `more`: there are more than that. */
  readonly count: number;
  readonly more: boolean;
}

export const walkThrough = ({ asked, rows, next, count, more }: Found): Walk => ({
  asked,
  digests: rows.map(({ digest }) => digest),
  next,
  count,
  more,
});

/** The item before or behind; `rest`: it is the first of the next page; null where the list ends. */
export function stepped(walk: Walk, digest: string, by: 1 | -1): string | { readonly rest: string } | null {
  const place = walk.digests.indexOf(digest);
  if (place === -1) return null;
  const found = walk.digests[place + by];
  if (found !== undefined) return found;
  return by === 1 && walk.next !== null ? { rest: walk.next } : null;
}

/** With the page that follows. What moved there from the pages before stays where it was. */
export function extended(walk: Walk, { rows, next }: Page<{ readonly digest: string }>): Walk {
  const known = new Set(walk.digests);
  const fresh = rows.map(({ digest }) => digest).filter((digest) => !known.has(digest));
  return { ...walk, digests: [...walk.digests, ...fresh], next };
}

/** "3 of 120"; null for what is not of the list. */
export function placeInWords({ digests, count, more, next }: Walk, digest: string): string | null {
  const place = digests.indexOf(digest);
  if (place === -1) return null;
  const all = next === null ? digests.length : Math.max(count, digests.length);
  return `${inWords(place + 1)} of ${more && next !== null ? "more than " : ""}${inWords(all)}`;
}
