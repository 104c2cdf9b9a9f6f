import { useRef, useState } from "react";
import type { Api } from "../api/client";
import { type Described, describe } from "../api/problem";
import type { Cycle, Model, ProjectEvent, Promotion, Rollout, Summary } from "../api/types";
import { readOn } from "../app/events";
import { usePolling } from "../app/hooks";
import { useFollowed } from "./useFollowed";

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
  const running = overview.cycles.find(({ finished_at }) => finished_at === null)?.id ?? null;
  const live = useFollowed(api, project, running, (told) => {
    setOverview((old) => ({ ...old, cycles: old.cycles.map((one) => (one.id === told.id ? told : one)) }));
    if (told.finished_at !== null) void refresh();
  });

  const refresh = async () => {
    try {
      const [summary, page, { models, promotions, rollouts }, news] = await Promise.all([
        api.summary(project),
        live ? null : api.cycles(project),
        api.models(project),
        seesEvents ? readOn(api, project, after.current, EVENTS_KEPT) : { events: [], next: 0 },
      ]);
      const fresh = news.next > after.current ? [...news.events].reverse() : [];
      after.current = Math.max(after.current, news.next);
      setOverview((old) => ({
        summary,
        cycles: page?.cycles ?? old.cycles,
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
