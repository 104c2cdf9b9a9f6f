/**
 * Drafts on the service, so that work goes on at another machine: saved after a pause, at leaving, one at a time.
 *
 * The draft in this browser is written first and at once; this only follows it.
 */
import { isPassing } from "../api/client";
import type { DraftBody, DraftSaved, Task } from "../api/types";
import { type Draft, draftFrom } from "./drafts";

export interface DraftApi {
  readonly clockOffset: number;
  draft(task: string, body: DraftBody, leaving: boolean): Promise<DraftSaved>;
}

interface Pending {
  readonly task: Task;
  readonly draft: Draft;
  /** When the first change was made that is not sent yet. */
  readonly since: number;
  readonly dueAt: number;
}

const PAUSE_MS = 2_000;
const LONGEST_PAUSE_MS = 10_000; // somebody who never pauses is saved as well
const RETRY_MS = 10_000;

export class DraftSync {
  private pending: Pending | null = null;
  private saving = false;

  constructor(
    private readonly api: DraftApi,
    private readonly now: () => number,
    /** The service has it, since this time of its clock. */
    private readonly taken: (task: Task, at: string) => void,
    /** The service does not take it: the lease is over (409), it is too large, and the like. */
    private readonly refused: (task: Task, error: unknown) => void,
  ) {}

  /** This is the newest draft; those before it need not be sent. */
  keep(task: Task, draft: Draft): void {
    if (this.pending && this.pending.task.id !== task.id) void this.flush(false);
    const now = this.now();
    const since = this.pending?.since ?? now;
    this.pending = { task, draft, since, dueAt: Math.min(now + PAUSE_MS, since + LONGEST_PAUSE_MS) };
  }

  /** The task is answered or not ours any more: nothing of it is to be sent. */
  forget(task: string): void {
    if (this.pending?.task.id === task) this.pending = null;
  }

  /** Sends what is due. */
  tick(): void {
    if (this.pending && !this.saving && this.pending.dueAt <= this.now()) void this.flush(false);
  }

  /** Sends what waits, without waiting longer. */
  async flush(leaving: boolean): Promise<void> {
    const sent = this.pending;
    if (!sent) return;
    this.pending = null;
    this.saving = true;
    const { task, draft } = sent;
    const content = { form: 1, shapes: draft.shapes, note: draft.note };
    try {
      const { saved_at } = await this.api.draft(task.id, { epoch: task.epoch, content }, leaving);
      this.taken(task, saved_at);
    } catch (error) {
      if (isPassing(error)) this.pending ??= { ...sent, dueAt: this.now() + RETRY_MS };
      else this.refused(task, error);
    } finally {
      this.saving = false;
    }
  }
}

/**
 * The newer of this browser's draft and the service's, whose time is by its own clock.
 *
 * Where the service's is an earlier state of this browser's, this browser's is newer, whatever the clocks say.
 */
export function newerDraft(local: Draft | null, task: Task, clockOffset: number): Draft | null {
  const saved = task.draft;
  const remote = saved && draftFrom({ ...saved.content, savedAt: Date.parse(saved.saved_at) - clockOffset });
  if (!remote) return local;
  if (local && (local.takenAt === saved?.saved_at || local.savedAt >= remote.savedAt)) return local;
  return local?.activeMs === undefined ? remote : { ...remote, activeMs: local.activeMs };
}
