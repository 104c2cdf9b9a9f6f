/** The page's address: "#/project/tab", so that a reload and a shared link show the same place. */

export type Tab = "review" | "overview";

export interface Route {
  readonly project: string | null;
  readonly tab: Tab | null;
}

export function routeOf(fragment: string): Route {
  const [project = "", tab = ""] = fragment.replace(/^#\/?/, "").split("/").map(safely);
  return { project: project === "" ? null : project, tab: tab === "review" || tab === "overview" ? tab : null };
}

export const fragmentOf = (project: string, tab: Tab): string => `#/${encodeURIComponent(project)}/${tab}`;

function safely(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return "";
  }
}
