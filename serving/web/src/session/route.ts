/** The page's address: "#/project/tab/place", so that a reload, a shared link and the back button show the same. */

export const TABS = [
  "review",
  "overview",
  "map",
  "recipe",
  "policy",
  "items",
  "selections",
  "clips",
  "snapshots",
  "quality",
  "lots",
  "reviewers",
  "queue",
  "work",
  "functions",
  "webhooks",
  "comments",
] as const;
export type Tab = (typeof TABS)[number];

export interface Route {
  readonly project: string | null;
  readonly tab: Tab | null;
  /** What of the tab: a lot, a person, an endpoint. */
  readonly place: string | null;
}

export function routeOf(fragment: string): Route {
  const [project = "", tab = "", place = ""] = fragment.replace(/^#\/?/, "").split("/").map(safely);
  return { project: project || null, tab: TABS.find((known) => known === tab) ?? null, place: place || null };
}

export const fragmentOf = (project: string, tab: Tab, place: string | null = null): string =>
  `#/${encodeURIComponent(project)}/${tab}${place === null ? "" : `/${encodeURIComponent(place)}`}`;

function safely(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return "";
  }
}
