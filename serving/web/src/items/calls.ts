import { type Api, at } from "../api/client";
import { ProblemError } from "../api/problem";
import type {
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
import { type BadQuery, badQueryOf } from "./queries";

const PAGE = 60;

export interface Found extends Page<ListedItem> {
  /** Of all that meet the query; `more`: there are more than that. */
  readonly count: number;
  readonly more: boolean;
}

/** The first pages of what meets a query, or why the query cannot be read. */
export async function find(
  api: Api,
  project: string,
  { query, sort }: { readonly query: string; readonly sort: string },
  pages: number,
): Promise<Found | BadQuery> {
  let [count, more] = [0, false];
  const ask = async (after: string | null): Promise<Page<ListedItem>> => {
    const asked = { q: query, sort, limit: String(PAGE), ...(after === null ? { count: "true" } : { after }) };
    const page = await api.json<ItemPage>("GET", at(project, `/items?${new URLSearchParams(asked).toString()}`));
    if (after === null) [count, more] = [page.count ?? 0, page.more];
    return { rows: page.items, next: page.next };
  };
  try {
    return { ...(await firstPages(ask, pages)), count, more };
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
