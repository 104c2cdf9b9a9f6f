/** What came of asking people for items, in words. */
import type { Described } from "../api/problem";
import type { AskedFor } from "../api/types";
import { counted } from "../app/figures";

export function askedInWords({ items, left }: AskedFor): Described {
  const why = new Map<string, number>();
  for (const one of left) why.set(one.why, (why.get(one.why) ?? 0) + 1);
  return {
    title: items.length === 0 ? "Nobody is asked" : `People are asked for ${counted(items.length, "item")}`,
    detail: items.length === 0 ? "" : "What is true of them stays until people have answered.",
    hint: [...why].map(([words, number]) => `${counted(number, "item")} left out: ${words}`).join(" "),
  };
}
