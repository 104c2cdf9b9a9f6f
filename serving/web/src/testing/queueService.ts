/** The service's side of the queue in memory, for tests: leases with epochs and expiry, as loop/domain/review/tasks.py. */
import { NetworkError, ProblemError } from "../api/problem";
import type { AnswerBody } from "../api/client";
import type { AcceptBody, Golden, ReturnBody } from "../api/types";
import type { DraftBody, DraftSaved, Heartbeat, Issue, Lease, Recipe, Submission, Task } from "../api/types";
import type { ReviewApi } from "../review/session";

interface Row {
  readonly task: Task;
  state: "open" | "leased" | "done" | "skipped";
  owner: string | null;
  epoch: number;
  expiresAt: number;
  answer: unknown;
  draft: Task["draft"];
  answerBy: string | null;
}

export class QueueService implements ReviewApi {
  clockOffset = 0;
  now = 1_000_000;
  leaseSeconds = 60;
  /** Requests fail as if the network were down. */
  down = false;
  /** The answer is stored but the response is lost. */
  losesResponses = false;
  /** Refuses the next submission with this problem. */
  refusal: { status: number; code: string; issues?: Issue[] } | null = null;
  /** Submissions arrive only then. */
  slow: Promise<void> = Promise.resolve();
  /** Why nobody gets more tasks. */
  why = "";
  /** What a training says of every answer. */
  golden: Golden | null = null;
  readonly calls: string[] = [];
  private readonly rows: Row[];

  constructor(tasks: readonly Task[]) {
    this.rows = tasks.map((task) => ({
      task,
      state: "open",
      owner: null,
      epoch: 0,
      expiresAt: 0,
      answer: null,
      draft: null,
      answerBy: null,
    }));
  }

  answerOf = (task: string): unknown => this.row(task).answer;
  stateOf = (task: string): string => this.row(task).state;

  draftOf = (task: string): Task["draft"] => this.row(task).draft;
  /** The draft was saved at that time, by the service's clock. */
  tellDraft(task: string, at: number): void {
    const row = this.row(task);
    if (row.draft) row.draft = { ...row.draft, saved_at: new Date(at).toISOString() };
  }

  /** A caller waits for the answer until that time; null: nobody does any more. */
  await(task: string, until: number | null): void {
    this.row(task).answerBy = until === null ? null : new Date(until).toISOString();
  }

  /** The lease runs out, and somebody else takes the task (or nobody). */
  takeAway(task: string, owner: string | null): void {
    const row = this.row(task);
    Object.assign(row, {
      state: owner ? "leased" : "open",
      owner,
      epoch: row.epoch + (owner ? 1 : 0),
      expiresAt: Infinity,
    });
  }

  lease = async (_project: string, count: number): Promise<Lease> => {
    await this.arrive(`lease ${count}`);
    const mine = this.rows.filter((row) => this.isLive(row) && row.owner === "me").slice(0, count);
    for (const row of this.rows.filter((candidate) => this.isFree(candidate)).slice(0, count - mine.length)) {
      Object.assign(row, {
        state: "leased",
        owner: "me",
        epoch: row.epoch + 1,
        expiresAt: this.now + this.leaseSeconds * 1000,
      });
      mine.push(row);
    }
    const open = this.rows.filter((row) => this.isFree(row)).length;
    return { tasks: mine.map((row) => this.out(row)), open, why: this.why };
  };

  heartbeat = async (task: string, epoch: number): Promise<Heartbeat> => {
    await this.arrive(`heartbeat ${task}`);
    const row = this.live(task, epoch);
    row.expiresAt = this.now + this.leaseSeconds * 1000;
    return { expires_at: new Date(row.expiresAt).toISOString(), answer_by: row.answerBy };
  };

  submit = async (task: string, body: AnswerBody): Promise<Submission> => {
    await this.slow;
    await this.arrive(`submit ${task}`);
    return { ...this.close(task, body.epoch, "done", body), golden: this.golden };
  };

  accept = async (task: string, body: AcceptBody): Promise<Submission> => {
    await this.arrive(`accept ${task}`);
    return this.close(task, body.epoch, "done", body);
  };

  giveBack = async (task: string, body: ReturnBody): Promise<Submission> => {
    await this.arrive(`return ${task}`);
    return this.close(task, body.epoch, "done", body);
  };

  draft = async (task: string, body: DraftBody): Promise<DraftSaved> => {
    await this.arrive(`draft ${task}`);
    const row = this.live(task, body.epoch);
    const saved_at = new Date(this.now + this.clockOffset).toISOString();
    row.draft = { ...body, saved_at };
    return { saved_at };
  };

  recipe = async (_project: string, version: number): Promise<Recipe> => {
    await this.arrive(`recipe ${version}`);
    return { ...RECIPE, version };
  };

  skip = async (task: string, body: { epoch: number; reason: string }): Promise<Submission> => {
    await this.arrive(`skip ${task}`);
    return this.close(task, body.epoch, "skipped", body);
  };

  release = async (task: string, epoch: number): Promise<void> => {
    await this.arrive(`release ${task}`);
    Object.assign(this.live(task, epoch), { state: "open", owner: null });
  };

  private close(task: string, epoch: number, state: "done" | "skipped", answer: unknown): Submission {
    const row = this.row(task);
    const same = row.epoch === epoch && JSON.stringify(row.answer) === JSON.stringify(answer);
    if (row.answer !== null && !same) throw problem(409, "already-submitted");
    if (this.refusal) {
      const { status, code, issues } = this.refusal;
      throw problem(status, code, issues ? { issues } : {});
    }
    if (row.answer === null) Object.assign(this.live(task, epoch), { state, answer });
    if (this.losesResponses) throw new NetworkError();
    return {
      id: `sub-${task}`,
      task_id: task,
      item_digest: row.task.item_digest,
      outcome: state === "done" ? "submitted" : "skipped",
      corrections: {},
      issues: [],
      seconds: 1,
      created_at: new Date(this.now).toISOString(),
    };
  }

  private async arrive(call: string): Promise<void> {
    this.calls.push(call);
    await Promise.resolve();
    if (this.down) throw new NetworkError();
  }

  private live(task: string, epoch: number): Row {
    const row = this.row(task);
    if (!this.isLive(row) || row.owner !== "me" || row.epoch !== epoch) throw problem(409, "stale-lease");
    return row;
  }

  private row(task: string): Row {
    const row = this.rows.find((candidate) => candidate.task.id === task);
    if (!row) throw problem(404, "not-found");
    return row;
  }

  private isLive = (row: Row): boolean => row.state === "leased" && row.expiresAt > this.now;
  private isFree = (row: Row): boolean => row.state === "open" || (row.state === "leased" && row.expiresAt <= this.now);

  private out = (row: Row): Task => ({
    ...row.task,
    draft: row.draft ?? row.task.draft,
    answer_by: row.answerBy,
    epoch: row.epoch,
    lease_seconds: this.leaseSeconds,
    expires_at: new Date(row.expiresAt).toISOString(),
  });
}

const problem = (status: number, code: string, ids: Record<string, unknown> = {}): ProblemError =>
  new ProblemError({ type: `/problems/${code}`, title: code, status, detail: "", hint: "", ids });

/** Digits, drawn as boxes. */
export const RECIPE: Recipe = {
  version: 1,
  labels: ["1", "3", "7"].map((name) => ({ name, color: "#ffffff", key: name })),
  guidelines: "",
};

export const taskNamed = (id: string): Task => ({
  id,
  project_id: "digits",
  recipe_version: 1,
  stage: "review",
  answers: [],
  merged: null,
  returned: null,
  frames: null,
  tracks: null,
  draft: null,
  item_digest: `digest-${id}`,
  width: 160,
  height: 120,
  image_url: `/v1/projects/digits/items/digest-${id}/image`,
  file: "",
  epoch: 0,
  expires_at: "",
  lease_seconds: 0,
  reason: "",
  detections: [
    { label: "7", score: 0.4, box: [10, 10, 40, 50] },
    { label: "3", score: 0.9, box: [60, 20, 100, 80] },
  ],
  created_at: "2026-01-01T00:00:00Z",
});
