/** The page's address: "#/project/tab", so that a reload and a shared link show the same place. */

export const TABS = ["review", "overview", "map"] as const;
export type Tab = (typeof TABS)[number];

export interface Route {
  readonly project: string | null;
  readonly tab: Tab | null;
}

export function routeOf(fragment: string): Route {
  const [project = "", tab = ""] = fragment.replace(/^#\/?/, "").split("/").map(safely);
  return { project: project === "" ? null : project, tab: TABS.find((known) => known === tab) ?? null };
}

export const fragmentOf = (project: string, tab: Tab): string => `#/${encodeURIComponent(project)}/${tab}`;

function safely(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return "";
  }
}
