/** Sends many pictures, a few at a time: one that fails stops no other, and an outage is waited out. */
import { NetworkError, ProblemError, describe, type Described } from "../api/problem";
import type { Failure, Picture } from "./adding";

/** What became of one picture. */
export interface Sent {
  readonly digest: string;
  /** false: the project had it already. */
  readonly isNew: boolean;
  /** Whether the model looked at it now, and whether a person does. */
  readonly predicted: boolean;
  readonly routed: boolean;
}

/** Keeps on asking while it is the service that cannot, not the picture. */
export type Persist = <T>(ask: () => Promise<T>) => Promise<T>;

/** Sends one picture; each of its calls by `persist`. Raises what is wrong with it. */
export type Send = (picture: Picture, persist: Persist, signal: AbortSignal) => Promise<Sent>;

export interface Progress {
  readonly phase: "under way" | "ended" | "cancelled";
  readonly total: number;
  /** Taken or refused. */
  readonly done: number;
  readonly added: number;
  readonly there: number;
  readonly predicted: number;
  readonly routed: number;
  readonly failures: readonly Failure[];
  /** Why it does not go on just now; it does by itself. */
  readonly waits: Described | null;
  /** Milliseconds of this computer's clock; `before`: what was done then, of an earlier try. */
  readonly began: number;
  readonly before: number;
}

const AT_ONCE = 4; // a browser opens six connections, and the page asks for other things too
const MOST_TRIES = 3; // of what the service could not do for reasons of its own
const LONGEST_PAUSE_S = 10;

type Sleep = (seconds: number, signal: AbortSignal) => Promise<void>;

export class Upload {
  progress: Progress;
  /** Milliseconds of this computer's clock; of the first try. */
  readonly begun: number;
  /** Of those that were not there before. */
  readonly digests: string[] = [];
  private readonly unsent: Picture[];
  private readonly refused: Picture[] = [];
  private stop = new AbortController();
  private readonly listeners = new Set<() => void>();

  constructor(
    pictures: readonly Picture[],
    private readonly send: Send,
    private readonly now: () => number = Date.now,
    private readonly sleep: Sleep = slept,
  ) {
    this.unsent = [...pictures].reverse();
    this.begun = now();
    this.progress = {
      phase: "under way",
      total: pictures.length,
      done: 0,
      added: 0,
      there: 0,
      predicted: 0,
      routed: 0,
      failures: [],
      waits: null,
      began: this.begun,
      before: 0,
    };
  }

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Until all are sent, or it is cancelled. */
  async run(): Promise<void> {
    const { signal } = this.stop;
    await Promise.all(Array.from({ length: AT_ONCE }, () => this.work(signal)));
    this.tell({ phase: signal.aborted ? "cancelled" : "ended", waits: null });
  }

  /** What is under way is broken off, and counts as not sent. */
  cancel = (): void => this.stop.abort();

  /** Those that were not taken or not sent, once more. */
  again(): Promise<void> {
    const refused = this.refused.splice(0);
    this.unsent.push(...refused.reverse());
    this.stop = new AbortController();
    const done = this.progress.done - refused.length;
    this.tell({ phase: "under way", done, before: done, failures: [], began: this.now() });
    return this.run();
  }

  private async work(signal: AbortSignal): Promise<void> {
    for (let next = this.unsent.pop(); next !== undefined && !signal.aborted; next = this.unsent.pop()) {
      const picture = next;
      try {
        const sent = await this.send(picture, (ask) => this.persist(ask, signal), signal);
        if (signal.aborted) return void this.unsent.push(picture);
        this.count(sent);
      } catch (error) {
        if (signal.aborted) return void this.unsent.push(picture);
        this.refused.push(picture);
        const failures = [...this.progress.failures, { path: picture.path, problem: describe(error) }];
        this.tell({ done: this.progress.done + 1, failures });
      }
    }
  }

  private count({ digest, isNew, predicted, routed }: Sent): void {
    if (isNew) this.digests.push(digest);
    const before = this.progress;
    this.tell({
      done: before.done + 1,
      added: before.added + Number(isNew),
      there: before.there + Number(!isNew),
      predicted: before.predicted + Number(predicted),
      routed: before.routed + Number(routed),
    });
  }

  private async persist<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
    for (let tries = 1; ; tries += 1) {
      try {
        const answer = await ask();
        if (this.progress.waits !== null && !signal.aborted) this.tell({ waits: null });
        return answer;
      } catch (error) {
        if (signal.aborted || !isWorthAnother(error, tries)) throw error;
        this.tell({ waits: describe(error) });
        await this.sleep(pauseAfter(error, tries), signal);
        if (signal.aborted) throw error;
      }
    }
  }

  private tell(changes: Partial<Progress>): void {
    this.progress = { ...this.progress, ...changes };
    this.listeners.forEach((listener) => listener());
  }
}

/** Whatever is out of reach, busy or limited comes back; other errors of the service's own are tried a few times. */
function isWorthAnother(error: unknown, tries: number): boolean {
  if (error instanceof NetworkError) return true;
  if (!(error instanceof ProblemError) || !error.passing || error.code === "no-champion") return false;
  return [408, 429, 503].includes(error.status) || tries < MOST_TRIES;
}

function pauseAfter(error: unknown, tries: number): number {
  const said = error instanceof ProblemError ? error.retryAfter : null;
  return Math.min(said ?? 2 ** (tries - 1), LONGEST_PAUSE_S);
}

const slept: Sleep = (seconds, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });

// --- those of this page ---------------------------------------------------------------------------------

const uploads = new WeakMap<object, Map<string, Upload>>();

/** What is being sent, or was last, into the project by who is signed in with that api: it goes on while other views
 *  are looked at. */
export const uploadOf = (api: object, project: string): Upload | null => uploads.get(api)?.get(project) ?? null;

/** null: what came of the last one is not shown any more. */
export function keepUpload(api: object, project: string, upload: Upload | null): void {
  const known = uploads.get(api) ?? new Map<string, Upload>();
  uploads.set(api, known);
  if (upload) known.set(project, upload);
  else known.delete(project);
}

/** Who signs out sends no more. */
export function endUploads(api: object): void {
  uploads.get(api)?.forEach((upload) => upload.cancel());
}

export const isSending = (api: object): boolean =>
  [...(uploads.get(api)?.values() ?? [])].some(({ progress }) => progress.phase === "under way");
