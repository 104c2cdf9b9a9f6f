/**
 * What the recipe's rules find wrong, asked for while one works: after a pause, for the newest shapes only.
 *
 * One question is on its way at most; a newer one, or leaving the task, takes it back. Where the service does not
 * answer, what was found last stays, marked as old.
 */
import { isPassing } from "../api/client";
import { ProblemError } from "../api/problem";
import type { Checked, Issue, ShapeBody } from "../api/types";
import { issuesIn } from "./matters";
import { type Shape, bodies } from "./shapes";

export interface CheckApi {
  check(task: string, shapes: readonly ShapeBody[], signal: AbortSignal): Promise<Checked>;
}

export interface Findings {
  readonly issues: readonly Issue[];
  /** The shapes that were looked at; others now mean that an answer is still to come. */
  readonly of: readonly Shape[] | null;
}

export const NOTHING_FOUND: Findings = { issues: [], of: null };

const PAUSE_MS = 350;
const RETRY_MS = 5_000;

interface Timer {
  set(work: () => void, milliseconds: number): number;
  clear(timer: number): void;
}

export class Checker {
  private timer: number | null = null;
  private asked: AbortController | null = null;

  constructor(
    private readonly api: CheckApi,
    private readonly found: (findings: Findings) => void,
    private readonly timers: Timer,
  ) {}

  /** The shapes of the task have changed, or are seen for the first time. */
  look(task: string, shapes: readonly Shape[], pause = PAUSE_MS): void {
    this.leave();
    this.timer = this.timers.set(() => void this.ask(task, shapes), pause);
  }

  /** Nobody wants to know any more. */
  leave(): void {
    if (this.timer !== null) this.timers.clear(this.timer);
    this.timer = null;
    this.asked?.abort();
    this.asked = null;
  }

  private async ask(task: string, shapes: readonly Shape[]): Promise<void> {
    const asked = new AbortController();
    this.asked = asked;
    try {
      const { issues } = await this.api.check(task, bodies(shapes), asked.signal);
      if (this.asked === asked) this.found({ issues, of: shapes });
    } catch (error) {
      if (this.asked !== asked) return;
      if (error instanceof ProblemError && !isPassing(error)) this.found({ issues: refusal(error), of: shapes });
      else this.look(task, shapes, RETRY_MS);
    }
  }
}

/** What cannot be kept at all (a shape outside the image, say) is an error as well. */
function refusal(error: ProblemError): Issue[] {
  if (error.status !== 422) return [];
  const { title, detail } = error.problem;
  return issuesIn(error.problem) ?? [{ rule: error.code, severity: "error", message: detail || title, shapes: [] }];
}
