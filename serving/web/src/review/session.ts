/**
 * One person reviewing one project: which task is on screen, which is next, and what is on its way back.
 *
 * The page shows `snapshot()` and calls the verbs; `tick()` does what time demands (heartbeats, retries, polls).
 * Everything outside (the service, the browser's storage, the clock) arrives as an argument.
 */
import type { Api } from "../api/client";
import { isPassing } from "../api/client";
import { type Described, ProblemError, describe } from "../api/problem";
import type { Golden, ReturnedIssue } from "../api/types";
import type { Issue, Recipe, Submission, Task } from "../api/types";
import { type Activity, type Sign, begunActivity, noticed } from "./activity";
import { Recipes, beginning } from "./beginning";
import { delivered } from "./delivery";
import { DraftSync, newerDraft } from "./draftSync";
import { Drafts } from "./drafts";
import { type Edit, type Editor, edited, opened, shapesOf } from "./editor";
import { stepped } from "./history";
import { Keep } from "./keep";
import { issuesIn } from "./matters";
import {
  type Answer,
  type Entry,
  type Outbox,
  due,
  hurried,
  isEntry,
  postponed,
  queued,
  revived,
  sending,
  settled,
} from "./outbox";
import { type Shape, bodies, sameShapes, shapesFrom } from "./shapes";

export type ReviewApi = Pick<
  Api,
  "lease" | "heartbeat" | "submit" | "skip" | "accept" | "giveBack" | "release" | "draft" | "recipe" | "clockOffset"
>;

export interface Notice extends Described {
  readonly tone: "info" | "error";
}

export interface Ports {
  readonly api: ReviewApi;
  /** Outlives the browser: drafts and unsent answers. */
  readonly storage: Storage;
  /** Outlives a reload only: how many were done this session. */
  readonly tally: Storage;
  readonly user: string;
  readonly project: string;
  /** The project's newest recipe, as far as the page knows. */
  readonly recipe: Recipe;
  readonly now: () => number;
  readonly notify: (notice: Notice) => void;
}

/** A task in hand. `deadline`: when its lease ends unless renewed, by this computer's clock. */
interface Held {
  readonly task: Task;
  readonly deadline: number;
  readonly beatAt: number;
}

export interface Current extends Held {
  readonly editor: Editor;
  readonly note: string;
  readonly restored: boolean;
  /** That of the task's version. */
  readonly recipe: Recipe;
  /** Why an answer was refused before; empty where none was. */
  readonly refusal: readonly Issue[];
  /** Why the lease is no longer ours, or null while it is. */
  readonly lost: Described | null;
}

/** In training: what was answered, and what would have been right. */
export interface Feedback {
  readonly task: Task;
  readonly mine: readonly Shape[];
  readonly golden: Golden;
}

export interface ReviewState {
  /** loading: asking for work; working: `current` is set; empty: nothing is open. */
  readonly phase: "loading" | "working" | "empty";
  readonly current: Current | null;
  readonly next: Task | null;
  readonly open: number | null;
  /** What keeps this person from more tasks, in the service's words; empty for nothing. */
  readonly why: string;
  readonly feedback: Feedback | null;
  /** Tasks that were answered or skipped, in this session. */
  readonly done: number;
  /** How many of them were skipped. */
  readonly skipped: number;
  readonly outbox: Outbox;
  readonly online: boolean;
  /** Nobody has touched the page for long: leases are no longer renewed, so that others can have the tasks. */
  readonly idle: boolean;
  /** Why no work could be asked for, where the service said so. */
  readonly problem: Described | null;
  /** When the queue was last asked, by this computer's clock. */
  readonly checkedAt: number;
}

type Tallied = "done" | "skipped";

const AHEAD = 2; // the task on screen and the one after it
const RECLAIM_AMONG = 8; // how many open tasks to look through for one whose lease was lost
const MOST_LEASED = 20; // the API's limit on `count`
const POLL_MS = 10_000;
const POLL_EMPTY_MS = 3_000;
const RETRY_BEAT_MS = 2_000;
export const IDLE_AFTER_MS = 15 * 60_000;

const KEPT = "Your shapes are kept; the task comes back next, with what is to be mended.";

const TAKEN_AGAIN: Notice = {
  tone: "info",
  title: "The lease had run out and is yours again",
  detail: "Nobody else had taken this image; your shapes are as they were.",
  hint: "",
};

export class ReviewSession {
  private state: ReviewState;
  private readonly listeners = new Set<() => void>();
  private readonly drafts: Drafts;
  private readonly sync: DraftSync;
  private readonly recipes: Recipes;
  private readonly keptOutbox: Keep<Entry>;
  private ahead: readonly Held[] = []; // the tasks after the current one
  private leasing: Promise<void> | null = null;
  private leaseAgain = false;
  private requests = 0;
  private readonly settledAfter = new Map<string, number>(); // task → the last lease request begun before it was settled
  private readonly returning = new Set<string>(); // refused answers whose task is still ours
  private readonly takenAt = new Map<string, string>(); // task → when the service took its draft
  private readonly refusals = new Map<string, readonly Issue[]>(); // task → why its answer was refused
  private readonly answered = new Map<string, Task>(); // whose answers are on their way
  private beating = new Set<string>();
  private activeAt: number;
  private activity: Activity;
  private warned = false; // that the service takes no drafts
  private closed = false;
  private released = false;

  constructor(private readonly ports: Ports) {
    const now = ports.now();
    this.drafts = new Drafts(ports.storage, ports.user);
    this.drafts.prune(now);
    this.keptOutbox = new Keep(ports.storage, `askance/outbox/${ports.user}/${ports.project}/`, isEntry);
    this.sync = new DraftSync(
      ports.api,
      ports.now,
      (task, at) => this.draftTaken(task, at),
      (task, error) => this.draftRefused(task, error),
    );
    this.recipes = new Recipes(ports.recipe, (version) => ports.api.recipe(ports.project, version));
    this.activeAt = now;
    this.activity = begunActivity(now);
    this.state = {
      phase: "loading",
      current: null,
      next: null,
      open: null,
      why: "",
      feedback: null,
      done: this.tallied("done"),
      skipped: this.tallied("skipped"),
      outbox: revived(this.keptOutbox.all(), now),
      online: true,
      idle: false,
      problem: null,
      checkedAt: 0,
    };
  }

  snapshot = (): ReviewState => this.state;

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** What is due now. Call it about once a second. */
  tick(): void {
    if (this.closed) return;
    const now = this.ports.now();
    this.clock({ type: "time" });
    this.sync.tick();
    if (!this.state.idle && now - this.activeAt > IDLE_AFTER_MS) this.set({ idle: true });
    for (const entry of due(this.state.outbox, now)) void this.send(entry);
    if (!this.state.idle) void this.beatDue(now);
    if (!this.state.current?.lost && now - this.state.checkedAt >= this.pollEvery()) void this.refill();
  }

  /** Somebody is at the page. */
  touched(): void {
    this.activeAt = this.ports.now();
    this.clock({ type: "input" });
    if (!this.state.idle) return;
    this.set({ idle: false });
    this.beatNow();
  }

  /** The page came into sight, or went out of it. */
  seen(visible: boolean): void {
    this.clock({ type: "visible", visible });
    if (!visible) this.leaving();
  }

  /** The page may be gone in a moment: what is only here goes to the service. */
  leaving(): void {
    void this.sync.flush(true);
  }

  edit(edit: Edit): void {
    const current = this.state.current;
    if (!current) return;
    const editor = edited(current.editor, edit);
    if (editor === current.editor) return;
    this.setCurrent({ ...current, editor });
  }

  setNote(note: string): void {
    if (this.state.current) this.setCurrent({ ...this.state.current, note });
  }

  /** Back to what the task began with, as a step that can be undone. */
  startOver(): void {
    const current = this.state.current;
    if (!current) return;
    const first = beginning(current.task, current.recipe.labels);
    const editor = edited(current.editor, { type: "replace", shapes: first });
    this.setCurrent({ ...current, editor, note: "", restored: false });
  }

  /** The shapes as the answer, and on to the next task without waiting for the service. */
  submit(): void {
    const current = this.state.current;
    if (!current || current.lost) return;
    const shapes = bodies(shapesOf(current.editor));
    const note = current.note.trim();
    this.answer(current, { kind: "submit", shapes, note, activeSeconds: this.activeSeconds() });
  }

  /** Somebody's answer is right as it is. */
  accept(): void {
    const current = this.state.current;
    if (current && !current.lost) this.answer(current, { kind: "accept", note: current.note.trim() });
  }

  /** Somebody's answer goes back to them, with what is to be mended. */
  giveBackAnswer(issues: readonly ReturnedIssue[]): void {
    const current = this.state.current;
    if (!current || current.lost || issues.length === 0) return;
    this.answer(current, { kind: "return", issues: [...issues], note: current.note.trim() });
  }

  /** The right answer has been looked at. */
  dismissFeedback(): void {
    this.clock({ type: "visible", visible: true });
    this.set({ feedback: null });
  }

  skip(reason: string): void {
    const current = this.state.current;
    if (!current || current.lost || reason.trim() === "") return;
    this.answer(current, { kind: "skip", reason: reason.trim() });
  }

  /** Tries to get a lost task back, with the draft; true where it is ours again. */
  async reclaim(): Promise<boolean> {
    const current = this.state.current;
    if (!current?.lost) return false;
    try {
      const count = Math.min(AHEAD + this.pending() + RECLAIM_AMONG, MOST_LEASED);
      const reply = await this.ports.api.lease(this.ports.project, count);
      await this.recipes.have(reply.tasks.map((task) => task.recipe_version));
      const again = reply.tasks.find((task) => task.id === current.task.id);
      this.set({ open: reply.open, online: true });
      this.giveBack(
        reply.tasks.filter((task) => task !== again && !this.isOnItsWay(task.id) && !this.isAhead(task.id)),
      );
      if (!again || this.state.current?.task.id !== again.id) return false;
      this.setCurrent({ ...this.state.current, ...this.hold(again), lost: null });
      return true;
    } catch (error) {
      this.failed(error);
      return false;
    }
  }

  /** Leaves a lost task (its draft stays) for the next one. */
  leaveLost(): void {
    if (!this.state.current?.lost) return;
    this.advance();
    void this.refill();
  }

  /** Asks for work now rather than at the next poll, and sends what waits. */
  hurry(): void {
    this.setOutbox(hurried(this.state.outbox, this.ports.now()));
    this.set({ checkedAt: 0 });
    this.tick();
  }

  /** Stops. `release`: give the tasks back at once (sign-out, another project) instead of keeping them for a reload. */
  close(release: boolean): void {
    this.closed = true;
    this.released = release;
    if (!release) return this.leaving();
    const tasks = this.mine().map((held) => held.task);
    void this.sync.flush(true).then(() => this.giveBack(tasks));
  }

  // --- answering ---------------------------------------------------------------------------------

  private answer(current: Current, answer: Answer): void {
    const { task } = current;
    if (answer.kind === "submit") this.saveDraft(current, true);
    this.sync.forget(task.id);
    this.refusals.delete(task.id);
    this.answered.set(task.id, task);
    const entry = { taskId: task.id, projectId: task.project_id, epoch: task.epoch, answer };
    this.setOutbox(queued(this.state.outbox, entry, this.ports.now()));
    this.advance();
    this.tick();
  }

  private advance(): void {
    const [held, ...rest] = this.ahead;
    this.ahead = rest;
    this.set({ phase: "loading", current: null, next: null });
    if (held) this.open(held);
  }

  private async send(entry: Entry): Promise<void> {
    this.setOutbox(sending(this.state.outbox, entry.taskId));
    try {
      const reply = await delivered(this.ports.api, entry);
      this.acknowledged(entry);
      this.teach(entry, reply);
    } catch (error) {
      const signedOut = error instanceof ProblemError && error.status === 401;
      if (isPassing(error) || signedOut) this.postpone(entry, error);
      else this.refused(entry, error);
    }
  }

  /** Where the task was a golden one of a training, its right answer is shown over mine. */
  private teach({ taskId, answer }: Entry, reply: unknown): void {
    const task = this.answered.get(taskId);
    this.answered.delete(taskId);
    const golden = answer.kind === "submit" ? (reply as Submission).golden : null;
    if (!golden || !task || answer.kind !== "submit") return;
    this.clock({ type: "visible", visible: false }); // the time is not the next task's
    this.set({ feedback: { task, mine: shapesFrom(answer.shapes, task), golden } });
  }

  private acknowledged(entry: Entry): void {
    this.drafts.drop(entry.taskId);
    this.settledAfter.set(entry.taskId, this.requests);
    this.setOutbox(settled(this.state.outbox, entry.taskId));
    this.tally("done");
    if (entry.answer.kind === "skip") this.tally("skipped");
    this.set({ online: true });
    // Only now: asked for earlier, the service may still count the answered task among those in hand, or not.
    void this.refill();
  }

  private postpone(entry: Entry, error: unknown): void {
    const retryAfter = error instanceof ProblemError ? error.retryAfter : null;
    this.setOutbox(postponed(this.state.outbox, entry.taskId, this.ports.now(), retryAfter));
    this.set({ online: error instanceof ProblemError });
    if (this.mine().length < AHEAD) void this.refill();
  }

  /** The draft stays; where the task is still free or ours, the next lease brings it back with the shapes. */
  private refused(entry: Entry, error: unknown): void {
    this.setOutbox(settled(this.state.outbox, entry.taskId));
    const answered = error instanceof ProblemError && error.code === "already-submitted";
    if (!answered) this.returning.add(entry.taskId);
    const issues = error instanceof ProblemError ? issuesIn(error.problem) : null;
    if (issues) this.refusals.set(entry.taskId, issues);
    const { title, detail, hint } = describe(error);
    const kept = entry.answer.kind === "submit" && !answered ? KEPT : "";
    this.ports.notify({
      tone: "error",
      title: `An answer was not taken: ${title}`,
      detail,
      hint: `${hint} ${kept}`.trim(),
    });
    void this.refill();
  }

  // --- leases ------------------------------------------------------------------------------------

  private refill(): Promise<void> {
    this.leaseAgain = this.leasing !== null;
    this.leasing ??= this.leaseMore().finally(() => {
      this.leasing = null;
      if (this.leaseAgain) void this.refill();
    });
    return this.leasing;
  }

  private async leaseMore(): Promise<void> {
    if (this.closed || this.state.idle) return;
    this.set({ checkedAt: this.ports.now() });
    const request = ++this.requests;
    const count = Math.min(AHEAD + this.pending() + this.returning.size, MOST_LEASED);
    try {
      const reply = await this.ports.api.lease(this.ports.project, count);
      if (!this.released) await this.recipes.have(reply.tasks.map((task) => task.recipe_version));
      if (this.closed) return this.released ? this.giveBack(reply.tasks) : undefined;
      const tasks = reply.tasks.filter(
        (task) => !this.isOnItsWay(task.id) && (this.settledAfter.get(task.id) ?? 0) < request,
      );
      this.set({ open: reply.open, why: reply.why, online: true, problem: null });
      for (const task of tasks) this.take(task);
      if (!this.state.current) this.set({ phase: "empty" });
    } catch (error) {
      this.failed(error);
    }
  }

  /** A task that the service says is ours: the one on screen, one that waits, or a new one. */
  private take(task: Task): void {
    const refused = this.returning.delete(task.id);
    const { current } = this.state;
    const known = this.mine().find((held) => held.task.id === task.id);
    const fresh = this.hold(stillAwaited(task, known?.task));
    // Asking again does not renew a lease, so the heartbeat is due no later than it was.
    const same = known?.task.epoch === task.epoch;
    const held = same ? { ...fresh, beatAt: Math.min(known.beatAt, fresh.beatAt) } : fresh;
    if (current?.task.id === task.id) {
      if (current.lost) return;
      if (current.task.epoch !== task.epoch) this.ports.notify(TAKEN_AGAIN);
      this.set({ current: { ...current, ...held } });
    } else if (!current) this.open(held);
    else if (known) this.setAhead(this.ahead.map((other) => (other === known ? held : other)));
    else this.setAhead(refused ? [held, ...this.ahead] : [...this.ahead, held]);
  }

  private hold(task: Task): Held {
    const now = this.ports.now();
    const left = Date.parse(task.expires_at) - (now + this.ports.api.clockOffset);
    const lease = task.lease_seconds * 1000;
    const deadline = now + (Number.isFinite(left) ? Math.min(Math.max(left, 0), lease) : lease);
    return { task, deadline, beatAt: Math.min(now + lease / 3, Math.max(deadline - lease / 3, now)) };
  }

  private open(held: Held): void {
    const { task } = held;
    const now = this.ports.now();
    const recipe = this.recipes.of(task.recipe_version);
    const local = this.drafts.load(task.id);
    if (local?.takenAt !== undefined) this.takenAt.set(task.id, local.takenAt);
    const draft = newerDraft(local, task, this.ports.api.clockOffset);
    const first = beginning(task, recipe.labels);
    let editor = opened(task, first, recipe.labels);
    if (draft) editor = { ...editor, shapes: stepped(editor.shapes, draft.shapes) };
    const restored = draft !== null && !(sameShapes(draft.shapes, first) && draft.note === "");
    this.activity = begunActivity(now, this.activity.visible, draft?.activeMs ?? 0);
    const refusal = this.refusals.get(task.id) ?? [];
    this.set({
      phase: "working",
      current: { ...held, editor, note: draft?.note ?? "", restored, recipe, refusal, lost: null },
      next: this.ahead[0]?.task ?? null,
    });
  }

  private beatNow(): void {
    const now = this.ports.now();
    if (this.state.current) this.set({ current: { ...this.state.current, beatAt: now } });
    this.setAhead(this.ahead.map((held) => ({ ...held, beatAt: now })));
    this.tick();
  }

  private async beatDue(now: number): Promise<void> {
    const late = this.mine().filter((held) => held.beatAt <= now && !this.beating.has(held.task.id));
    await Promise.all(late.map((held) => this.beat(held.task)));
  }

  private async beat(task: Task): Promise<void> {
    this.beating.add(task.id);
    try {
      const { expires_at, answer_by = null } = await this.ports.api.heartbeat(task.id, task.epoch);
      this.renewed({ ...task, expires_at, answer_by });
      this.set({ online: true });
    } catch (error) {
      if (isPassing(error)) this.beatLater(task);
      else this.lost(task, error);
      this.set({ online: error instanceof ProblemError });
    } finally {
      this.beating.delete(task.id);
    }
  }

  private renewed(task: Task): void {
    const { current } = this.state;
    const renewed = this.hold(stillAwaited(task, this.mine().find((held) => held.task.id === task.id)?.task));
    if (current?.task.id === task.id && !current.lost) this.set({ current: { ...current, ...renewed } });
    this.setAhead(this.ahead.map((held) => (held.task.id === task.id ? renewed : held)));
  }

  private beatLater(task: Task): void {
    const beatAt = this.ports.now() + RETRY_BEAT_MS;
    const { current } = this.state;
    if (current?.task.id === task.id) this.set({ current: { ...current, beatAt } });
    this.setAhead(this.ahead.map((held) => (held.task.id === task.id ? { ...held, beatAt } : held)));
  }

  private lost(task: Task, error: unknown): void {
    const { current } = this.state;
    if (this.isAhead(task.id)) {
      this.setAhead(this.ahead.filter((held) => held.task.id !== task.id));
      void this.refill();
    }
    if (current?.task.id !== task.id || current.lost) return;
    this.saveDraft(current, true);
    this.set({ current: { ...current, lost: describe(error) } });
  }

  private draftTaken(task: Task, at: string): void {
    this.takenAt.set(task.id, at);
    const draft = this.drafts.load(task.id);
    if (draft) this.drafts.save(task.id, { ...draft, takenAt: at });
  }

  /** The draft stays in this browser. A lease that is over is told as such, anything else once. */
  private draftRefused(task: Task, error: unknown): void {
    if (error instanceof ProblemError && error.status === 409) return void this.overtaken(task, error);
    if (this.warned || this.state.current?.task.id !== task.id) return;
    this.warned = true;
    const { title, detail, hint } = describe(error);
    this.ports.notify({
      tone: "error",
      title: `Drafts are kept in this browser only: ${title}`,
      detail,
      hint: `${hint} Submit here rather than at another computer.`.trim(),
    });
  }

  /** The lease is over. Where nobody else wants the task, asking for work brings it again, and the draft follows. */
  private async overtaken(task: Task, error: unknown): Promise<void> {
    const isShown = () => this.state.current?.task.id === task.id;
    if (!isShown()) return;
    await this.refill();
    const { current } = this.state;
    if (!current || !isShown()) return;
    if (current.task.epoch === task.epoch) this.lost(task, error);
    else this.saveDraft(current, false);
  }

  private giveBack(tasks: readonly Task[]): void {
    for (const task of tasks) void this.ports.api.release(task.id, task.epoch).catch(() => undefined);
  }

  private failed(error: unknown): void {
    const online = error instanceof ProblemError;
    this.set({ online, problem: online && !isPassing(error) ? describe(error) : this.state.problem });
  }

  // --- state -------------------------------------------------------------------------------------

  private tallyKey = (what: Tallied): string => `askance/${what}/${this.ports.user}/${this.ports.project}`;
  private tallied = (what: Tallied): number => Number(this.ports.tally.getItem(this.tallyKey(what))) || 0;

  /** One more. */
  private tally(what: Tallied): void {
    const number = this.state[what] + 1;
    this.ports.tally.setItem(this.tallyKey(what), String(number));
    this.set({ [what]: number });
  }

  /** What is in our hands and not lost: the task on screen and those that wait. */
  private mine(): Held[] {
    const { current } = this.state;
    return current && !current.lost ? [current, ...this.ahead] : [...this.ahead];
  }

  private setAhead(ahead: readonly Held[]): void {
    this.ahead = ahead;
    this.set({ next: ahead[0]?.task ?? null });
  }

  private isAhead = (task: string): boolean => this.ahead.some((held) => held.task.id === task);
  private pending = (): number => this.state.outbox.length;
  private isOnItsWay = (task: string): boolean => this.state.outbox.some((entry) => entry.taskId === task);
  private pollEvery = (): number => (this.state.current ? POLL_MS : POLL_EMPTY_MS);

  private setCurrent(current: Current): void {
    if (current.note !== this.state.current?.note || shapesOf(current.editor) !== this.shapesShown()) {
      this.saveDraft(current, false);
    }
    this.set({ current });
  }

  private shapesShown = (): readonly Shape[] | null =>
    this.state.current ? shapesOf(this.state.current.editor) : null;

  private clock(sign: Sign): void {
    this.activity = noticed(this.activity, sign, this.ports.now());
  }

  private activeSeconds(): number {
    this.clock({ type: "time" });
    return Math.round(this.activity.activeMs / 100) / 10;
  }

  /** A draft is kept in the browser where there is something to lose, or `always`; the service follows. */
  private saveDraft(current: Current, always: boolean): void {
    const { task, note, recipe } = current;
    const shapes = shapesOf(current.editor);
    const takenAt = this.takenAt.get(task.id);
    const known = takenAt === undefined ? {} : { takenAt };
    const draft = { shapes, note, savedAt: this.ports.now(), activeMs: this.activity.activeMs, ...known };
    if (!current.lost) this.sync.keep(task, draft);
    const untouched = note === "" && sameShapes(shapes, beginning(task, recipe.labels));
    if (untouched && !always) return this.drafts.drop(task.id);
    if (this.drafts.save(task.id, draft)) return;
    this.ports.notify({
      tone: "error",
      title: "Drafts cannot be kept",
      detail: "This browser's storage is full or forbidden; a reload would lose unsent shapes.",
      hint: "Submit before leaving, and allow or free the storage of this site.",
    });
  }

  private setOutbox(outbox: Outbox): void {
    const kept = new Set(outbox.map((entry) => entry.taskId));
    for (const entry of this.state.outbox) if (!kept.has(entry.taskId)) this.keptOutbox.drop(entry.taskId);
    for (const entry of outbox) if (!this.state.outbox.includes(entry)) this.keptOutbox.put(entry.taskId, entry);
    this.set({ outbox });
  }

  private set(change: Partial<ReviewState>): void {
    this.state = { ...this.state, ...change };
    for (const listener of this.listeners) listener();
  }
}

/** That nobody waits any more is still to be seen when the service has forgotten it. */
const stillAwaited = (task: Task, known: Task | undefined): Task =>
  task.answer_by == null && known?.epoch === task.epoch ? { ...task, answer_by: known.answer_by ?? null } : task;
