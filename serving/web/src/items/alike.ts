/** What looks like an item, or like one detection of it, to the present champion. */
import { type Api, at } from "../api/client";
import type { ItemPage, ListedItem, Neighbours, ObjectNeighbours } from "../api/types";

/** What is looked for: the whole item, or one detection of its newest prediction. */
export interface Wanted {
  readonly digest: string;
  readonly box: { readonly number: number; readonly words: string } | null;
}

export interface Alike {
  readonly digest: string;
  /** Cosine, in [-1, 1]. */
  readonly similarity: number;
  /** Where it is one detection of that item. */
  readonly found: { readonly number: number; readonly words: string; readonly box: readonly number[] } | null;
  /** Null where the lists of items do not know it yet. */
  readonly item: ListedItem | null;
}

const MOST_NEIGHBOURS = 200;
const BOXES_AN_ITEM = 4; // that are asked for, so that there are several items
const ASKED_AT_ONCE = 50; // digests in a query, which is limited

/** At most `count` items, the most similar first; `more`: whether there may be others that the service would tell. */
export async function alike(
  api: Api,
  project: string,
  wanted: Wanted,
  count: number,
): Promise<{ readonly rows: Alike[]; readonly more: boolean }> {
  const asked = Math.min(wanted.box === null ? count : BOXES_AN_ITEM * count, MOST_NEIGHBOURS);
  const near = await nearest(api, project, wanted, asked);
  const found = oneOfEach(near);
  const shown = found.slice(0, count);
  const items = new Map((await listed(api, project, shown.map(({ digest }) => digest))).map((item) => [item.digest, item]));
  return {
    rows: shown.map((one) => ({ ...one, item: items.get(one.digest) ?? null })),
    more: found.length > count || (near.length >= asked && asked < MOST_NEIGHBOURS),
  };
}

/** Of each item the box that is most alike: they are found in that order. */
export const oneOfEach = <T extends { readonly digest: string }>(found: readonly T[]): T[] =>
  found.filter(({ digest }, at) => found.findIndex((other) => other.digest === digest) === at);

async function nearest(api: Api, project: string, { digest, box }: Wanted, count: number): Promise<Omit<Alike, "item">[]> {
  const item = `/items/${encodeURIComponent(digest)}`;
  if (box === null) {
    const { neighbours } = await api.json<Neighbours>("GET", at(project, `${item}/neighbours?k=${count}`));
    return neighbours.map(({ item_digest, similarity }) => ({ digest: item_digest, similarity, found: null }));
  }
  const path = `${item}/objects/${box.number}/neighbours?k=${count}`;
  const { neighbours } = await api.json<ObjectNeighbours>("GET", at(project, path));
  return neighbours.map(({ item_digest, similarity, number, detection }) => ({
    digest: item_digest,
    similarity,
    found: { number, words: `${detection.label} ${detection.score.toFixed(2)}`, box: detection.box },
  }));
}

async function listed(api: Api, project: string, digests: readonly string[]): Promise<ListedItem[]> {
  const items: ListedItem[] = [];
  for (let begin = 0; begin < digests.length; begin += ASKED_AT_ONCE) {
    const some = digests.slice(begin, begin + ASKED_AT_ONCE);
    const asked = new URLSearchParams({ q: `digest in (${some.join(", ")})`, limit: String(some.length) });
    items.push(...(await api.json<ItemPage>("GET", at(project, `/items?${asked.toString()}`))).items);
  }
  return items;
}

/** Those that nobody has looked at. */
export const freeOf = (found: readonly Alike[]): string[] =>
  found.filter(({ item }) => item !== null && isFree(item)).map(({ digest }) => digest);

export const isFree = ({ work, truth_version: truth }: Pick<ListedItem, "work" | "truth_version">): boolean =>
  work === null && !truth;

/** "0.97" */
export const similarityInWords = (similarity: number): string => similarity.toFixed(2).replace("-", "−");
