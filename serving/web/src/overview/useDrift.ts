import { useState } from "react";
import type { Api } from "../api/client";
import { type Described, ProblemError, describe } from "../api/problem";
import type { DriftPage } from "../api/types";
import { usePolling } from "../app/hooks";

export interface DriftState {
  readonly page: DriftPage | null;
  /** No model serves, so there is nothing to compare with. */
  readonly noChampion: boolean;
  readonly problem: Described | null;
}

const REFRESH_MS = 15_000; // saying what the next look waits for may take reading a window

/** The newest look for drift, and what the next one waits for. */
export function useDrift(api: Api, project: string): { drift: DriftState; refresh: () => Promise<void> } {
  const [drift, setDrift] = useState<DriftState>({ page: null, noChampion: false, problem: null });
  const refresh = async () => {
    try {
      setDrift({ page: await api.drift(project), noChampion: false, problem: null });
    } catch (error) {
      const noChampion = error instanceof ProblemError && error.code === "no-champion";
      setDrift((old) => ({
        page: noChampion ? null : old.page,
        noChampion,
        problem: noChampion ? null : describe(error),
      }));
    }
  };
  usePolling(refresh, REFRESH_MS);
  return { drift, refresh };
}
