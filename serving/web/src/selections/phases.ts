/** What the state of the search index means. */
import type { SearchIndex } from "../api/types";

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

/** Of all that is to be in it, in [0, 1]. */
export const partRead = ({ embeddings, waiting }: Pick<SearchIndex, "embeddings" | "waiting">): number =>
  embeddings + waiting === 0 ? 1 : embeddings / (embeddings + waiting);
