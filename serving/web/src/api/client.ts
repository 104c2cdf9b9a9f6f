/** Every request the page makes. The token travels only as a header, so that no other site can use it. */
import type {
  AcceptBody,
  ActionBody,
  ActionResult,
  Comment,
  CommentBody,
  Comments,
  Functions,
  ReturnBody,
} from "./types";
import { NetworkError, ProblemError, problemOf } from "./problem";
import type {
  Checked,
  Cycle,
  CycleBody,
  CyclePage,
  DeliveryPage,
  DraftBody,
  DraftSaved,
  DriftPage,
  DriftReport,
  DriftStatus,
  Heartbeat,
  Item,
  Lease,
  MapStatus,
  Me,
  Models,
  Project,
  Promotion,
  Recipe,
  Replayed,
  ReviewEventPage,
  Selection,
  SelectionBody,
  ShapeBody,
  Submission,
  Summary,
  Task,
  Webhook,
  Webhooks,
} from "./types";

type Fetch = (input: string, init?: RequestInit) => Promise<Response>;

const TIMEOUT_MS = 30_000;
const MAP_TIMEOUT_MS = 300_000; // a million points are 70 MB
const SELECTION_TIMEOUT_MS = 300_000; // reads what the champion has predicted

interface How {
  /** Goes through even while the page is being closed. */
  readonly keepalive?: boolean;
  readonly timeoutMs?: number;
  /** Takes the request back. */
  readonly signal?: AbortSignal;
}

export interface AnswerBody {
  readonly epoch: number;
  readonly shapes: readonly ShapeBody[];
  readonly note: string;
  /** In which the page saw the reviewer at work. */
  readonly active_seconds?: number;
}

export class Api {
  /** Milliseconds that the service's clock is ahead of this computer's. */
  clockOffset = 0;

  constructor(
    private readonly token: string,
    private readonly onUnauthenticated: () => void = () => undefined,
    private readonly fetcher: Fetch = (input, init) => fetch(input, init),
    private readonly origin: string = window.location.origin,
  ) {}

  me = () => this.json<Me>("GET", "/v1/me");
  projects = () => this.json<Project[]>("GET", "/v1/projects");
  project = (project: string) => this.json<Project>("GET", at(project, ""));
  summary = (project: string) => this.json<Summary>("GET", at(project, "/summary"));

  lease = (project: string, count: number) => this.json<Lease>("POST", at(project, "/tasks/lease"), { count });
  heartbeat = (task: string, epoch: number) => this.json<Heartbeat>("POST", on(task, "heartbeat"), { epoch });
  submit = (task: string, body: AnswerBody) => this.json<Submission>("POST", on(task, "submit"), body);
  skip = (task: string, body: { epoch: number; reason: string }) =>
    this.json<Submission>("POST", on(task, "skip"), body);

  accept = (task: string, body: AcceptBody) => this.json<unknown>("POST", on(task, "accept"), body);
  giveBack = (task: string, body: ReturnBody) => this.json<unknown>("POST", on(task, "return"), body);
  /** `leaving`: goes through even while the page is being closed, where it is small enough for the browser. */
  draft = (task: string, body: DraftBody, leaving: boolean) =>
    this.json<DraftSaved>("POST", on(task, "draft"), body, { keepalive: leaving });
  check = (task: string, shapes: readonly ShapeBody[], signal: AbortSignal) =>
    this.json<Checked>("POST", on(task, "check"), { shapes }, { signal });
  recipe = (project: string, version: number) => this.json<Recipe>("GET", at(project, `/recipe/${version}`));

  functions = (project: string) => this.json<Functions>("GET", at(project, "/functions"));
  act = (task: string, name: string, body: ActionBody) =>
    this.json<ActionResult>("POST", on(task, `actions/${encodeURIComponent(name)}`), body);
  comments = (project: string, digest: string) => this.json<Comments>("GET", at(project, `/items/${digest}/comments`));
  comment = (project: string, digest: string, body: CommentBody) =>
    this.json<Comment>("POST", at(project, `/items/${digest}/comments`), body);
  reply = (comment: string, text: string) => this.json<unknown>("POST", under(comment, "replies"), { text });
  resolve = (comment: string) => this.json<unknown>("POST", under(comment, "resolve"));
  reopen = (comment: string) => this.json<unknown>("POST", under(comment, "reopen"));

  /** Goes through even while the page is being closed. */
  async release(task: string, epoch: number): Promise<void> {
    await this.send("POST", on(task, "release"), { epoch }, { keepalive: true });
  }

  guidelinePicture = async (project: string, digest: string): Promise<Blob> =>
    (await this.send("GET", at(project, `/guidelines/pictures/${digest}`))).blob().catch(cutShort);

  image = async (picture: Pick<Task, "image_url">): Promise<Blob> =>
    (await this.send("GET", picture.image_url)).blob().catch(cutShort);

  events = (project: string, after: number, kind: string | null) =>
    this.json<ReviewEventPage>("GET", at(project, `/events?after=${after}&limit=1000${kind ? `&kind=${kind}` : ""}`));
  cycles = (project: string) => this.json<CyclePage>("GET", at(project, "/cycles"));
  startCycle = (project: string, body: CycleBody) => this.json<Cycle>("POST", at(project, "/cycles"), body);
  models = (project: string) => this.json<Models>("GET", at(project, "/models"));
  promote = (project: string, model: string, reason: string) =>
    this.json<Promotion>("POST", at(project, `/models/${encodeURIComponent(model)}/promote`), { reason });
  rollback = (project: string, reason: string) =>
    this.json<Promotion>("POST", at(project, "/models/rollback"), { reason });

  item = (project: string, digest: string) => this.json<Item>("GET", at(project, `/items/${digest}`));
  itemImage = async (project: string, digest: string): Promise<Blob> =>
    (await this.send("GET", at(project, `/items/${digest}/image`))).blob().catch(cutShort);
  select = (project: string, body: SelectionBody) =>
    this.json<Selection>("POST", at(project, "/selections"), body, { timeoutMs: SELECTION_TIMEOUT_MS });

  mapStatus = (project: string) => this.json<MapStatus>("GET", at(project, "/map/status"));
  askForMap = (project: string, refit: boolean) => this.json<MapStatus>("POST", at(project, "/map"), { refit });
  /** An Arrow IPC stream; ask only where the status names a drawing. */
  mapColumns = async (project: string): Promise<Uint8Array> => {
    const response = await this.send("GET", at(project, "/map"), undefined, { timeoutMs: MAP_TIMEOUT_MS });
    return new Uint8Array(await response.arrayBuffer().catch(cutShort));
  };

  drift = (project: string) => this.json<DriftPage>("GET", at(project, "/drift?limit=1"));
  lookForDrift = (project: string) => this.json<DriftReport>("POST", at(project, "/drift"));
  acceptDrift = (project: string) => this.json<DriftStatus>("POST", at(project, "/drift/reference"));

  webhooks = () => this.json<Webhooks>("GET", "/v1/webhooks");
  webhook = (endpoint: string) => this.json<Webhook>("GET", hook(endpoint));
  enableWebhook = (endpoint: string, enabled: boolean) => this.json<Webhook>("PATCH", hook(endpoint), { enabled });
  deliveries = (endpoint: string, state: "pending" | "dead") =>
    this.json<DeliveryPage>("GET", `${hook(endpoint)}/deliveries?state=${state}&limit=10`);
  replayDead = (endpoint: string) => this.json<Replayed>("POST", `${hook(endpoint)}/replay`);

  /** For calls of single views, which name their routes themselves. body: text and files go as they are. */
  async json<T>(method: string, path: string, body?: unknown, how: How = {}): Promise<T> {
    const response = await this.send(method, path, body, how);
    return (await response.json().catch(cutShort)) as T;
  }

  async send(method: string, path: string, body?: unknown, how: How = {}): Promise<Response> {
    const url = new URL(path, this.origin);
    if (url.origin !== this.origin) {
      throw new Error(`The service pointed to ${url.origin}; the page sends its token to ${this.origin} only.`);
    }
    const headers: Record<string, string> = { Authorization: `Bearer ${this.token}` };
    const { keepalive = false, timeoutMs = TIMEOUT_MS } = how;
    const timeout = AbortSignal.timeout(timeoutMs);
    const signal = how.signal ? AbortSignal.any([how.signal, timeout]) : timeout;
    const init: RequestInit = { method, headers, keepalive, signal };
    if (typeof body === "string") {
      headers["Content-Type"] = "application/yaml"; // a document as somebody wrote it; JSON is read there too
      init.body = body;
    } else if (body instanceof Blob) {
      init.body = body;
    } else if (body !== undefined) {
      headers["Content-Type"] = "application/json";
      init.body = JSON.stringify(body);
    }
    const response = await this.fetcher(url.href, init).catch(cutShort);
    this.readClock(response);
    if (response.ok) return response;
    const problem = await problemOf(response);
    if (problem.status === 401) this.onUnauthenticated();
    throw problem;
  }

  private readClock(response: Response): void {
    const date = Date.parse(response.headers.get("date") ?? "");
    if (!Number.isNaN(date)) this.clockOffset = date - Date.now();
  }
}

/** Whether trying again later may help: no answer, or the service said that it cannot just now. */
export function isPassing(error: unknown): boolean {
  return error instanceof NetworkError || (error instanceof ProblemError && error.passing);
}

function cutShort(): never {
  throw new NetworkError();
}

export const at = (project: string, rest: string): string => `/v1/projects/${encodeURIComponent(project)}${rest}`;
const on = (task: string, action: string): string => `/v1/tasks/${encodeURIComponent(task)}/${action}`;
const under = (comment: string, action: string): string => `/v1/comments/${encodeURIComponent(comment)}/${action}`;
export const hook = (endpoint: string): string => `/v1/webhooks/${encodeURIComponent(endpoint)}`;
