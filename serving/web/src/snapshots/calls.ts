import { type Api, at } from "../api/client";
import { ProblemError } from "../api/problem";
import type {
  Cycle,
  CyclePage,
  Evaluation,
  ItemPage,
  Project,
  SavedView,
  SavedViews,
  Slices,
  SlicesBody,
  Snapshot,
  SnapshotDiff,
  SnapshotPage,
} from "../api/types";
import { saved } from "../app/saving";
import { type Known, championIn } from "./slices";

const LONGEST_MS = 3_600_000; // an archive may be large
const COUNTED_AT_ONCE = 4;

const of = (project: string, digest: string, rest = ""): string =>
  at(project, `/snapshots/${encodeURIComponent(digest)}${rest}`);

export const snapshotsAfter = (api: Api, project: string, after: string | null) => {
  const asked = new URLSearchParams({ counts: "true", ...(after === null ? {} : { after }) });
  return api.json<SnapshotPage>("GET", at(project, `/snapshots?${asked.toString()}`));
};

export const snapshot = (api: Api, project: string, digest: string) => api.json<Snapshot>("GET", of(project, digest));

export const diff = (api: Api, project: string, before: string, after: string) =>
  api.json<SnapshotDiff>("GET", of(project, before, `/diff/${encodeURIComponent(after)}`), undefined, {
    timeoutMs: LONGEST_MS,
  });

export async function download(api: Api, project: string, digest: string, format: string): Promise<void> {
  const path = of(project, digest, `/archive?format=${format}`);
  const answer = await api.send("GET", path, undefined, { timeoutMs: LONGEST_MS });
  await saved(answer, `${project}-${digest.slice(0, 12)}-${format}.zip`);
}

export const putSlices = (api: Api, project: string, body: SlicesBody) =>
  api.json<Slices>("PUT", at(project, "/slices"), body);

/** The slices, the views that could be ones, how many items each has, and what was measured of the champion. */
export async function slicesKnown(api: Api, project: Project): Promise<Known> {
  const [slices, { views }, { cycles }] = await Promise.all([
    api.json<Slices>("GET", at(project.id, "/slices")),
    api.json<SavedViews>("GET", at(project.id, "/views")),
    api.json<CyclePage>("GET", at(project.id, "/cycles")),
  ]);
  const judged = championIn(cycles, project.champion_id);
  const [counts, figures] = await Promise.all([
    countsOf(api, project.id, views.filter(({ name }) => slices.slices.some(({ view }) => view === name))),
    judged === null ? null : evaluation(api, project.id, judged.cycle),
  ]);
  return { slices, views, counts, judged: judged && figures ? { ...judged, figures } : null };
}

/** null: a view's query cannot be read any more. */
async function countsOf(api: Api, project: string, views: readonly SavedView[]): Promise<Known["counts"]> {
  const found = new Map<string, { count: number; more: boolean } | null>();
  for (let begin = 0; begin < views.length; begin += COUNTED_AT_ONCE) {
    await Promise.all(
      views.slice(begin, begin + COUNTED_AT_ONCE).map(async ({ name, query }) => {
        const asked = new URLSearchParams({ q: query, limit: "1", count: "true" });
        found.set(name, await itemsOf(api, project, asked));
      }),
    );
  }
  return found;
}

async function itemsOf(api: Api, project: string, asked: URLSearchParams) {
  try {
    const { count, more } = await api.json<ItemPage>("GET", at(project, `/items?${asked.toString()}`));
    return { count: count ?? 0, more };
  } catch (error) {
    if (error instanceof ProblemError && error.status === 422) return null;
    throw error;
  }
}

/** Null where it was not kept. */
async function evaluation(api: Api, project: string, cycle: Cycle): Promise<Evaluation | null> {
  try {
    return await api.json<Evaluation>("GET", at(project, `/cycles/${encodeURIComponent(cycle.id)}/evaluation`));
  } catch (error) {
    if (error instanceof ProblemError && error.status === 409) return null;
    throw error;
  }
}
