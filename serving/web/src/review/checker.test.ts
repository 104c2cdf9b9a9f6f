import { beforeEach, expect, test, vi } from "vitest";
import { NetworkError, ProblemError } from "../api/problem";
import type { Checked, Issue } from "../api/types";
import { Checker, type Findings } from "./checker";
import { boxed } from "./outline";
import { bare } from "./shapes";

interface Asked {
  readonly ids: unknown[];
  readonly signal: AbortSignal;
  readonly answer: (issues: Issue[]) => void;
  readonly fail: (error: unknown) => void;
}

let asked: Asked[];
let found: Findings[];
let checker: Checker;

const shapes = (...ids: string[]) => ids.map((id) => bare(id, "x", boxed([0, 0, 9, 9])));
const wrong: Issue = { rule: "r", severity: "error", message: "wrong", shapes: [] };

beforeEach(() => {
  vi.useFakeTimers();
  asked = [];
  found = [];
  const check = (_task: string, bodies: readonly { id?: string | null }[], signal: AbortSignal) =>
    new Promise<Checked>((resolve, reject) => {
      asked.push({ ids: bodies.map(({ id }) => id), signal, answer: (issues) => resolve({ issues }), fail: reject });
    });
  checker = new Checker({ check }, (one) => found.push(one), {
    set: (work, milliseconds) => setTimeout(work, milliseconds) as unknown as number,
    clear: (timer) => clearTimeout(timer),
  });
});

test("many changes in a row are one question, about the last", async () => {
  checker.look("t", shapes("a"));
  await vi.advanceTimersByTimeAsync(100);
  checker.look("t", shapes("a", "b"));
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked.map(({ ids }) => ids)).toEqual([["a", "b"]]);
});

test("the latest wins: a question on its way is taken back, and its late answer ignored", async () => {
  checker.look("t", shapes("a"));
  await vi.advanceTimersByTimeAsync(1000);
  const newest = shapes("a", "b");
  checker.look("t", newest);
  expect(asked[0]?.signal.aborted).toBe(true);
  await vi.advanceTimersByTimeAsync(1000);
  asked[1]?.answer([wrong]);
  asked[0]?.answer([]);
  await vi.advanceTimersByTimeAsync(0);
  expect(found).toEqual([{ issues: [wrong], of: newest }]);
});

test("leaving the task takes the question back", async () => {
  checker.look("t", shapes("a"));
  await vi.advanceTimersByTimeAsync(1000);
  checker.leave();
  expect(asked[0]?.signal.aborted).toBe(true);
  asked[0]?.fail(new NetworkError());
  await vi.advanceTimersByTimeAsync(60_000);
  expect([found, asked.length]).toEqual([[], 1]);
});

test("without a connection it is asked again later", async () => {
  checker.look("t", shapes("a"));
  await vi.advanceTimersByTimeAsync(1000);
  asked[0]?.fail(new NetworkError());
  await vi.advanceTimersByTimeAsync(6000);
  asked[1]?.answer([]);
  await vi.advanceTimersByTimeAsync(0);
  expect(found).toHaveLength(1);
});

test("what cannot be kept at all is an error too; a service without checks finds nothing", async () => {
  const problem = (status: number, code: string) =>
    new ProblemError({ type: `/problems/${code}`, title: "T", status, detail: "D", hint: "", ids: {} });
  checker.look("t", shapes("a"));
  await vi.advanceTimersByTimeAsync(1000);
  asked[0]?.fail(problem(422, "bad-shape"));
  await vi.advanceTimersByTimeAsync(0);
  checker.look("t", shapes("b"));
  await vi.advanceTimersByTimeAsync(1000);
  asked[1]?.fail(problem(404, "not-found"));
  await vi.advanceTimersByTimeAsync(0);
  expect(found.map(({ issues }) => issues)).toEqual([
    [{ rule: "bad-shape", severity: "error", message: "D", shapes: [] }],
    [],
  ]);
});
