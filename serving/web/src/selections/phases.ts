/** What the state of the search index means. */
import type { SearchIndex } from "../api/types";
import { count, percent } from "../app/format";

interface Phase {
  readonly words: string;
  readonly tone: string;
  readonly meaning: string;
}

export const PHASES: Record<SearchIndex["phase"], Phase> = {
  unread: {
    words: "not read yet",
    tone: "",
    meaning: "Nobody has searched since the service started. The first search reads it, from its file where there is one.",
  },
  reading: {
    words: "being read",
    tone: "warn",
    meaning: "Embeddings are read from the database. Until that is done, searches for what looks alike have to wait.",
  },
  rebuilding: {
    words: "being made anew",
    tone: "info",
    meaning: "It has outgrown its lists, and new ones are made. Searches go on by those before.",
  },
  ready: { words: "ready", tone: "good", meaning: "Finds which images look alike to the champion." },
};

export const isUnderWay = ({ phase }: Pick<SearchIndex, "phase">): boolean =>
  phase === "reading" || phase === "rebuilding";

/** What a search looks at, and what of the nearest it finds by that. */
export function searches(lists: SearchIndex["lists"]): string {
  if (lists === null) return "all of them";
  const { searched, count: all, made_for: madeFor, recall, wanted } = lists;
  const found = `${count(searched)} of ${count(all)} lists, made for ${count(madeFor)}: ${percent(recall, 1)} of the ten nearest`;
  return recall < wanted ? `${found}, where ${percent(wanted, 1)} are wanted; looking at more finds no more` : found;
}
