/** Queueing named images for people, by the strategy that picks what is most like them: nothing is more like an image
 *  than itself. */
import type { Selection, SelectionBody } from "../api/types";
import { count } from "../app/format";

/** wanted: digests of images that nobody has looked at. None is drawn at random beside them. */
export const queueBody = (wanted: readonly string[]): SelectionBody => ({
  budget: wanted.length,
  strategy: "like-this",
  random_share: 0,
  like: [...wanted],
});

/** What came of it. Where somebody was quicker, or an image is there twice, the nearest other one was taken. */
export function queuedWords(
  wanted: readonly string[],
  picks: readonly Pick<Selection["picks"][number], "item_digest">[],
): { title: string; detail: string } {
  const asked = new Set(wanted);
  const others = picks.filter((pick) => !asked.has(pick.item_digest)).length;
  const title = `${count(picks.length)} queued for review`;
  if (others === 0) return { title, detail: "They are in the queue now." };
  return {
    title,
    detail: `${count(others)} of them are the nearest neighbours of images that had a task or truth by now.`,
  };
}
