/** Queueing named images for people, by the strategy that picks what is most like them: nothing is more like an image
 *  than itself. */
import type { Selection, SelectionBody } from "../api/types";
import { count } from "../app/format";
import type { Notice } from "../review/session";

/** What of the API it takes. */
export interface SelectingApi {
  select(
    project: string,
    body: SelectionBody,
  ): Promise<{ readonly picks: readonly Pick<Selection["picks"][number], "item_digest">[] }>;
}

/**
 * Makes tasks for those of the wanted images that nobody has looked at, and for no others; what came of it.
 *
 * For an image that has a task by now the strategy would pick a neighbour in its place, so a dry run tells first which
 * are still free.
 */
export async function queued(api: SelectingApi, project: string, wanted: readonly string[]): Promise<Notice> {
  const asked = new Set(wanted);
  const tried = await api.select(project, { ...bodyFor(wanted), dry_run: true });
  const free = tried.picks.map((pick) => pick.item_digest).filter((item) => asked.has(item));
  const made = free.length === 0 ? 0 : (await api.select(project, bodyFor(free))).picks.length;
  const left = wanted.length - made;
  return {
    tone: "info",
    title: made === 0 ? "Nothing was queued" : `${count(made)} queued for review`,
    detail: left === 0 ? "They are in the queue now." : `${count(left)} have a task or their truth by now.`,
    hint: "",
  };
}

/** None is drawn at random beside them. */
const bodyFor = (items: readonly string[]): SelectionBody => ({
  budget: items.length,
  strategy: "like-this",
  random_share: 0,
  like: [...items],
});
