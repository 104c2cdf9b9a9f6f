import { expect, test } from "vitest";
import { Messages } from "../api/eventStream";
import { NetworkError, ProblemError } from "../api/problem";
import type { Cycle } from "../api/types";
import { follow } from "./following";

const cycle = (progress: number, finished_at: string | null = null) => ({ id: "cycle_1", progress, finished_at }) as Cycle;
const message = (told: Cycle): string => `event: cycle\ndata: ${JSON.stringify(told)}\n\n`;
const ENDED = cycle(1, "2026-01-02T10:00:00Z");

type Stream = readonly (string | Error)[] | Error;

/** Follows these streams, one after the other; gives what was told, whether it was live, and the pauses between. */
async function followed(streams: readonly Stream[]) {
  const told: (number | boolean)[] = [];
  const pauses: number[] = [];
  const left = [...streams];
  const end = new AbortController();
  await follow(
    {
      open: (): Promise<AsyncIterable<string>> => {
        const next = left.shift();
        if (next === undefined) end.abort();
        return next === undefined || next instanceof Error ? Promise.reject(next ?? new NetworkError()) : Promise.resolve(pieces(next));
      },
      onTold: ({ progress }) => told.push(progress),
      onLive: (live) => told.push(live),
      pause: (milliseconds) => {
        pauses.push(milliseconds);
        return Promise.resolve();
      },
    },
    end.signal,
  );
  return { told, pauses, left: left.length };
}

async function* pieces(stream: readonly (string | Error)[]): AsyncGenerator<string> {
  for (const piece of stream) {
    await Promise.resolve();
    if (piece instanceof Error) throw piece;
    yield piece;
  }
}

test("messages are whole however the stream is cut, and comments say nothing", () => {
  const messages = new Messages();
  expect(messages.add(": still there\n\nevent: cy")).toEqual([]);
  expect(messages.add('cle\ndata: {"a":\ndata: 1}\n')).toEqual([]);
  expect(messages.add("\ndata: 2\r\n\r\nda")).toEqual(['{"a":\n1}', "2"]);
});

test("it is told as it goes on, until it has ended", async () => {
  const { told, pauses, left } = await followed([[message(cycle(0.1)), message(cycle(0.5)), message(ENDED)], []]);
  expect(told).toEqual([0.1, true, 0.5, true, 1, false, false]);
  expect([pauses, left]).toEqual([[], 1]);
});

test("where a stream breaks off the next is opened, and one polls meanwhile", async () => {
  const { told, pauses } = await followed([[message(cycle(0.1)), new TypeError("network error")], [message(ENDED)]]);
  expect(told).toEqual([0.1, true, false, 1, false, false]);
  expect(pauses).toEqual([1_000]);
});

test("the longer there is none, the seldomer it is tried; one that tells something begins anew", async () => {
  const away = Array.from({ length: 6 }, () => new NetworkError());
  const { told, pauses } = await followed([...away, [message(cycle(0.2))], new NetworkError(), [message(ENDED)]]);
  expect(pauses).toEqual([1_000, 2_000, 5_000, 10_000, 30_000, 30_000, 1_000, 2_000]);
  expect(told.filter((one) => one === true)).toHaveLength(1);
});

test("what is refused for good is not asked for again", async () => {
  const gone = new ProblemError({ type: "/problems/not-found", title: "T", status: 404, detail: "", hint: "", ids: {} });
  const { told, left } = await followed([gone, [message(ENDED)]]);
  expect(told).toEqual([false]);
  expect(left).toBe(1);
});
