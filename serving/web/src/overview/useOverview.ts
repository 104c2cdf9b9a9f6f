import { useRef, useState } from "react";
import type { Api } from "../api/client";
import { type Described, describe } from "../api/problem";
import type { Cycle, Model, ProjectEvent, Promotion, Rollout, Summary } from "../api/types";
import { usePolling } from "../app/hooks";

export interface Overview {
  readonly summary: Summary | null;
  readonly cycles: readonly Cycle[];
  readonly models: readonly Model[];
  readonly promotions: readonly Promotion[];
  readonly rollouts: readonly Rollout[];
  /** Newest first; empty for those who may not see them. */
  readonly events: readonly ProjectEvent[];
  readonly problem: Described | null;
}

const REFRESH_MS = 2_000;
const EVENTS_KEPT = 40;
const PAGES_AT_ONCE = 50;

/** The project's figures, renewed while the page can be seen. */
export function useOverview(
  api: Api,
  project: string,
  seesEvents: boolean,
): { overview: Overview; refresh: () => Promise<void> } {
  const [overview, setOverview] = useState<Overview>({
    summary: null,
    cycles: [],
    models: [],
    promotions: [],
    rollouts: [],
    events: [],
    problem: null,
  });
  const after = useRef(0);

  const refresh = async () => {
    try {
      const [summary, { cycles }, { models, promotions, rollouts }, news] = await Promise.all([
        api.summary(project),
        api.cycles(project),
        api.models(project),
        seesEvents ? newEvents(api, project, after.current) : { events: [], next: 0 },
      ]);
      const fresh = news.next > after.current ? [...news.events].reverse() : [];
      after.current = Math.max(after.current, news.next);
      setOverview((old) => ({
        summary,
        cycles,
        models,
        promotions,
        rollouts,
        events: [...fresh, ...old.events].slice(0, EVENTS_KEPT),
        problem: null,
      }));
    } catch (error) {
      setOverview((old) => ({ ...old, problem: describe(error) }));
    }
  };
  usePolling(refresh, REFRESH_MS);
  return { overview, refresh };
}

/** What came after `after`, the last EVENTS_KEPT of it; catches up page by page. */
async function newEvents(api: Api, project: string, after: number): Promise<{ events: ProjectEvent[]; next: number }> {
  let events: ProjectEvent[] = [];
  let next = after;
  for (let page = 0; page < PAGES_AT_ONCE; page += 1) {
    const answer = await api.events(project, next);
    events = [...events, ...answer.events].slice(-EVENTS_KEPT);
    if (answer.events.length === 0 || answer.next <= next) break;
    next = answer.next;
  }
  return { events, next };
}
