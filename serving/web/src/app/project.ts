/** The project that is looked at, as it is now. */
import { useState } from "react";
import type { Api } from "../api/client";
import type { Project } from "../api/types";
import { usePolling } from "./hooks";

const REFRESH_MS = 10_000;

/** The project that the address names, or the first where it names none; null where there is none of that name. */
export const chosenOf = (projects: readonly Project[], asked: string | null): Project | null =>
  (asked === null ? projects[0] : projects.find(({ id }) => id === asked)) ?? null;

/** The project read anew, or the one before where nothing of it is another: views begin again with another object. */
export const renewed = (before: Project, read: Project): Project =>
  before.id === read.id &&
  before.policy.version === read.policy.version &&
  before.recipe.version === read.recipe.version &&
  before.champion_id === read.champion_id
    ? before
    : read;

/** Read anew when another view is opened, and while one is looked at: its policy may be changed in another of the page's
 *  views, or by somebody else. view: which; null: none that shows more than its tasks. */
export function useProject(api: Api, known: Project | null, view: string | null): Project | null {
  const [newest, setNewest] = useState(known);
  const present = newest !== null && newest.id === known?.id ? newest : known;
  const refresh = async () => {
    if (present === null || view === null) return;
    const read = await api.project(present.id).catch(() => present); // the view itself says what does not work
    setNewest((before) => (before?.id === read.id ? renewed(before, read) : read));
  };
  usePolling(refresh, REFRESH_MS, `${known?.id ?? ""} ${view ?? ""}`);
  return present;
}
