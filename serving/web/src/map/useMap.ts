/** The project's map: how it is coming along, and its newest drawing. */
import { useRef, useState } from "react";
import type { Api } from "../api/client";
import { type Described, ProblemError, describe } from "../api/problem";
import type { MapStatus } from "../api/types";
import { usePolling } from "../app/hooks";
import { type Columns, columnsOf } from "./columns";

export interface Drawing {
  readonly columns: Columns;
  /** When it was made, which tells drawings apart. */
  readonly madeAt: string;
}

export interface MapState {
  /** null: not known yet, or `missing`. */
  readonly status: MapStatus | null;
  /** The model that serves now. */
  readonly champion: string | null;
  /** Nobody has asked for one yet. */
  readonly missing: boolean;
  readonly drawing: Drawing | null;
  readonly problem: Described | null;
}

const NOTHING_KNOWN: MapState = { status: null, champion: null, missing: false, drawing: null, problem: null };
const [WHILE_DRAWN_MS, AT_REST_MS] = [1_000, 10_000];

export const isAwaited = (status: MapStatus | null): boolean =>
  status !== null && (status.state === "queued" || status.state === "running");

export function useMap(api: Api, project: string): { map: MapState; ask: (refit: boolean) => Promise<void> } {
  const [map, setMap] = useState<MapState>(NOTHING_KNOWN);
  const shown = useRef<string | null>(null);

  const refresh = async () => {
    try {
      const [status, { champion_id: champion }] = await Promise.all([api.mapStatus(project), api.project(project)]);
      setMap((old) => ({ ...old, status, champion, missing: false, problem: null }));
      const madeAt = status.drawn?.made_at ?? null;
      if (madeAt === null || madeAt === shown.current) return;
      const before = shown.current;
      shown.current = madeAt; // whoever asks meanwhile need not fetch it, too
      try {
        const columns = columnsOf(await api.mapColumns(project));
        setMap((old) => ({ ...old, drawing: { columns, madeAt } }));
      } catch (error) {
        shown.current = before;
        throw error;
      }
    } catch (error) {
      const missing = error instanceof ProblemError && error.code === "not-found" && shown.current === null;
      setMap((old) => ({ ...old, missing, problem: missing ? null : describe(error) }));
    }
  };
  usePolling(refresh, isAwaited(map.status) ? WHILE_DRAWN_MS : AT_REST_MS);

  const ask = async (refit: boolean) => {
    const status = await api.askForMap(project, refit);
    setMap((old) => ({ ...old, status, missing: false }));
  };
  return { map, ask };
}
