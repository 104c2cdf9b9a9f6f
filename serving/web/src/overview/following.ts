/** A running cycle, told by the service as it goes on; while that cannot be had, whoever follows it polls. */
import { type Api, at, isPassing } from "../api/client";
import { Messages, piecesOf } from "../api/eventStream";
import type { Cycle } from "../api/types";

const SILENT_MS = 40_000; // the service says each 15 s that it is there
const LONGEST_MS = 24 * 3_600_000;
const PAUSES_MS = [1_000, 2_000, 5_000, 10_000, 30_000];

export interface Following {
  /** The pieces of a new stream. Fails where there is none to be had. */
  readonly open: (signal: AbortSignal) => Promise<AsyncIterable<string>>;
  readonly onTold: (cycle: Cycle) => void;
  /** Whether it is told as it goes on: else poll. */
  readonly onLive: (live: boolean) => void;
  readonly pause: (milliseconds: number) => Promise<void>;
}

/** Until the cycle has ended, or `signal` says so; where a stream breaks off it opens the next. Gives up where the service
 *  refuses it for good. */
export async function follow({ open, onTold, onLive, pause }: Following, signal: AbortSignal): Promise<void> {
  for (let tries = 0; !signal.aborted; tries += 1) {
    const stream = new AbortController();
    const stop = () => stream.abort();
    signal.addEventListener("abort", stop);
    let silence = setTimeout(stop, SILENT_MS);
    try {
      const messages = new Messages();
      for await (const piece of await open(stream.signal)) {
        clearTimeout(silence);
        if (signal.aborted) return;
        silence = setTimeout(stop, SILENT_MS);
        for (const data of messages.add(piece)) {
          const cycle = JSON.parse(data) as Cycle;
          tries = 0;
          onTold(cycle);
          onLive(cycle.finished_at === null);
          if (cycle.finished_at !== null) return;
        }
      }
    } catch (error) {
      if (!signal.aborted && !stream.signal.aborted && !isPassing(error) && !isBroken(error)) return;
    } finally {
      clearTimeout(silence);
      signal.removeEventListener("abort", stop);
      stop();
      if (!signal.aborted) onLive(false);
    }
    await pause(PAUSES_MS[Math.min(tries, PAUSES_MS.length - 1)] ?? 0);
  }
}

/** What a browser's stream fails with when the connection goes. */
const isBroken = (error: unknown): boolean =>
  error instanceof TypeError || error instanceof SyntaxError || error instanceof DOMException;

export const openEvents =
  (api: Api, project: string, cycle: string) =>
  async (signal: AbortSignal): Promise<AsyncIterable<string>> => {
    const path = at(project, `/cycles/${encodeURIComponent(cycle)}/events`);
    return piecesOf(await api.send("GET", path, undefined, { signal, timeoutMs: LONGEST_MS }));
  };
