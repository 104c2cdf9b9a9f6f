/** A project's history, read on from where it was left. */
import type { Api } from "../api/client";
import type { ProjectEvent } from "../api/types";

const PAGES_AT_ONCE = 50;

export interface ReadOn {
  /** Oldest first. */
  readonly events: readonly ProjectEvent[];
  /** Where to read on. */
  readonly next: number;
  /** Whether there is more already. */
  readonly more: boolean;
}

/** What came after `after`, page by page: the last `most` events of that kind, or of all kinds. */
export async function readOn(
  api: Pick<Api, "events">,
  project: string,
  after: number,
  most: number,
  kind: string | null = null,
): Promise<ReadOn> {
  let events: ProjectEvent[] = [];
  let next = after;
  for (let page = 0; page < PAGES_AT_ONCE; page += 1) {
    const answer = await api.events(project, next, kind);
    events = [...events, ...answer.events].slice(-most);
    if (answer.events.length === 0 || answer.next <= next) return { events, next, more: false };
    next = answer.next;
  }
  return { events, next, more: true };
}
