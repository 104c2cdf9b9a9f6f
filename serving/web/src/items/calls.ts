import { type Api, at } from "../api/client";
import { ProblemError } from "../api/problem";
import type {
  AskedFor,
  AskedPage,
  ItemHistory,
  ItemPage,
  ListedItem,
  Reopened,
  SavedView,
  SavedViews,
  Tagged,
  TagsBody,
} from "../api/types";
import { type Page, firstPages } from "../app/asked";
import { type Asked, type BadQuery, badQueryOf } from "./queries";

const PAGE = 60;

export interface Found extends Page<ListedItem> {
  readonly asked: Asked;
  /** Of all that meet the query; `more`: there are more than that. */
  readonly count: number;
  readonly more: boolean;
}

/** One page of it. after: `next` of the page before; null: the first, with how many there are in all. */
export function findPage(
  api: Api,
  project: string,
  { query, sort }: Asked,
  after: string | null,
): Promise<ItemPage> {
  const asked = { q: query, sort, limit: String(PAGE), ...(after === null ? { count: "true" } : { after }) };
  return api.json<ItemPage>("GET", at(project, `/items?${new URLSearchParams(asked).toString()}`));
}

/** The first pages of what meets a query, or why the query cannot be read. */
export async function find(
  api: Api,
  project: string,
  asked: Asked,
  pages: number,
): Promise<Found | BadQuery> {
  let [count, more] = [0, false];
  const ask = async (after: string | null): Promise<Page<ListedItem>> => {
    const page = await findPage(api, project, asked, after);
    if (after === null) [count, more] = [page.count ?? 0, page.more];
    return { rows: page.items, next: page.next };
  };
  try {
    return { ...(await firstPages(ask, pages)), asked, count, more };
  } catch (error) {
    const bad = error instanceof ProblemError ? badQueryOf(error.problem) : null;
    if (bad === null) throw error;
    return bad;
  }
}

/** Of the items, or of all that meet the query, in as many calls as it takes; gives how many. */
export async function tag(api: Api, project: string, body: Omit<TagsBody, "after">): Promise<number> {
  let done = 0;
  let after: string | null = null;
  do {
    const { items, next }: Tagged = await api.json<Tagged>("POST", at(project, "/items/tags"), { ...body, after });
    done += items;
    after = next;
  } while (after !== null);
  return done;
}

const ASKED_AT_ONCE = 200;
const ASKING_TIMEOUT_MS = 120_000;

/** People look at the items, or at all that meet the query, in as many calls as it takes. */
export async function askFor(
  api: Api,
  project: string,
  reason: string,
  which: { readonly items: readonly string[] } | { readonly query: string },
): Promise<AskedFor> {
  const all: AskedFor = { items: [], left: [] };
  const ask = async (body: object): Promise<string | null> => {
    const how = { timeoutMs: ASKING_TIMEOUT_MS };
    const asked = await api.json<AskedPage>("POST", at(project, "/items/ask"), { reason, ...body }, how);
    all.items.push(...asked.items);
    all.left.push(...asked.left);
    return asked.next;
  };
  if ("items" in which) {
    for (let begin = 0; begin < which.items.length; begin += ASKED_AT_ONCE)
      await ask({ items: which.items.slice(begin, begin + ASKED_AT_ONCE) });
    return all;
  }
  let after: string | null = null;
  do after = await ask({ query: which.query, after, limit: ASKED_AT_ONCE });
  while (after !== null);
  return all;
}

export const history = (api: Api, project: string, digest: string) =>
  api.json<ItemHistory>("GET", at(project, `/items/${encodeURIComponent(digest)}/history`));

/** All closed work on an item again. */
export const reopen = (api: Api, project: string, digest: string) =>
  api.json<Reopened>("POST", at(project, `/items/${encodeURIComponent(digest)}/reopen`));

export const views = (api: Api, project: string) => api.json<SavedViews>("GET", at(project, "/views"));
export const saveView = (api: Api, project: string, name: string, body: { query: string; sort: string }) =>
  api.json<SavedView>("PUT", view(project, name), body);
export const removeView = (api: Api, project: string, name: string) => api.send("DELETE", view(project, name));

const view = (project: string, name: string): string => at(project, `/views/${encodeURIComponent(name)}`);
