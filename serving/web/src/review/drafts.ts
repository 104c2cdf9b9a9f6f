/** Unsent work, one draft per task, so that neither a reload nor a lost lease costs a box. */
import { Keep, isRecord } from "./keep";
import type { Shape } from "./shapes";

export interface Draft {
  readonly shapes: readonly Shape[];
  readonly note: string;
  /** Milliseconds since 1970. */
  readonly savedAt: number;
}

const KEPT_FOR_MS = 30 * 24 * 3600 * 1000;

export class Drafts {
  private readonly keep: Keep<Draft>;

  constructor(storage: Storage, user: string) {
    this.keep = new Keep(storage, `askance/draft/${user}/`, isDraft);
  }

  save = (task: string, draft: Draft): boolean => this.keep.put(task, draft);
  load = (task: string): Draft | null => this.keep.get(task);
  drop = (task: string): void => this.keep.drop(task);

  /** Forgets drafts of long ago, whose tasks somebody else has finished. */
  prune(now: number): void {
    for (const task of this.keep.keys()) {
      const draft = this.keep.get(task);
      if (!draft || now - draft.savedAt > KEPT_FOR_MS) this.keep.drop(task);
    }
  }
}

function isDraft(value: unknown): value is Draft {
  return (
    isRecord(value) &&
    typeof value["note"] === "string" &&
    typeof value["savedAt"] === "number" &&
    Array.isArray(value["shapes"]) &&
    value["shapes"].every(isShape)
  );
}

function isShape(value: unknown): value is Shape {
  return (
    isRecord(value) &&
    typeof value["id"] === "string" &&
    typeof value["label"] === "string" &&
    isBox(value["box"]) &&
    (value["proposed"] === null || (isRecord(value["proposed"]) && isBox(value["proposed"]["box"])))
  );
}

const isBox = (value: unknown): boolean =>
  Array.isArray(value) &&
  value.length === 4 &&
  value.every((edge) => typeof edge === "number" && Number.isFinite(edge));
