import { useRef } from "react";
import type { Api } from "../api/client";
import type { ProjectEvent } from "../api/types";
import { type Asked, useAsked } from "../app/asked";
import { readOn } from "../app/events";

const REFRESH_MS = 10_000;
const KEPT = 50;

export interface FailedRules {
  /** The newest first. */
  readonly events: readonly ProjectEvent[];
  /** Whether newer history is still to be read. */
  readonly more: boolean;
  readonly next: number;
}

export function useFailedRules(api: Api, project: string): Asked<FailedRules> {
  const read = useRef<FailedRules>({ events: [], more: true, next: 0 });
  const ask = async () => {
    const before = read.current;
    const { events, more, next } = await readOn(api, project, before.next, KEPT, "rule.failed");
    read.current = { events: [...events.toReversed(), ...before.events].slice(0, KEPT), more, next };
    return read.current;
  };
  return useAsked(ask, project, REFRESH_MS);
}
