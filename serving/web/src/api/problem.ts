/** What can go wrong between the page and the service: a problem it answered, or no answer at all. */
import type { Problem } from "./types";

/** The service answered with an RFC 9457 problem. */
export class ProblemError extends Error {
  constructor(
    readonly problem: Problem,
    /** Seconds to wait before trying again, where the service said so. */
    readonly retryAfter: number | null = null,
  ) {
    super(problem.detail || problem.title);
  }

  /** The stable name of the problem: the last part of its type, e.g. "stale-lease". */
  get code(): string {
    return this.problem.type.split("/").pop() ?? "";
  }

  get status(): number {
    return this.problem.status;
  }

  /** Whether the same request may succeed later without a change. */
  get passing(): boolean {
    return this.status >= 500 || this.status === 408 || this.status === 429;
  }
}

/** Nothing came back: the service is down, or the network is. */
export class NetworkError extends Error {
  constructor() {
    super("The service cannot be reached.");
  }
}

/** The problem in an answer that is not a 2xx; a stand-in where the body is not problem+json (a proxy's page). */
export async function problemOf(response: Response): Promise<ProblemError> {
  const body: unknown = await response.json().catch(() => null);
  const seconds = Number(response.headers.get("retry-after"));
  const retryAfter = Number.isFinite(seconds) && seconds > 0 ? seconds : null;
  return new ProblemError(isProblem(body) ? body : standIn(response.status), retryAfter);
}

function isProblem(body: unknown): body is Problem {
  return typeof body === "object" && body !== null && "title" in body && "type" in body && "status" in body;
}

function standIn(status: number): Problem {
  return {
    type: "/problems/unexpected",
    title: "The service gave an unexpected answer",
    status,
    detail: `It answered with HTTP status ${status}.`,
    hint: "Try again; if it stays, show this to an operator.",
    ids: {},
  };
}

export interface Described {
  title: string;
  detail: string;
  hint: string;
}

/** Any error in words for people. */
export function describe(error: unknown): Described {
  if (error instanceof ProblemError) {
    const { title, detail, hint } = error.problem;
    return { title, detail, hint };
  }
  if (error instanceof NetworkError) {
    return { title: "No connection", detail: error.message, hint: "Nothing is lost; the page keeps trying." };
  }
  const detail = error instanceof Error ? error.message : String(error);
  return { title: "Something went wrong in the page", detail, hint: "Reload the page; your drafts are kept." };
}
