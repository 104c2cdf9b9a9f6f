import { expect, test } from "vitest";
import type { ProjectEvent } from "../api/types";
import { readOn } from "./events";

/** A history in which each tenth event is a failed rule. */
function historyOf(events: number, pageSize = 10) {
  const kindOf = (sequence: number) => (sequence % 10 === 0 ? "rule.failed" : "task.completed");
  const all = Array.from({ length: events }, (_, at) => ({ sequence: at + 1, kind: kindOf(at + 1) }) as ProjectEvent);
  const page = (_project: string, after: number, kind: string | null) => {
    const found = all.filter((event) => event.sequence > after && (!kind || event.kind === kind)).slice(0, pageSize);
    return Promise.resolve({ events: found, next: found.at(-1)?.sequence ?? after });
  };
  return { events: page };
}

const numbersOf = (events: readonly ProjectEvent[]) => events.map(({ sequence }) => sequence);

test("of all that came the newest are kept, and it is read on from there", async () => {
  const { events, next, more } = await readOn(historyOf(25), "street", 0, 3);
  expect([numbersOf(events), next, more]).toEqual([[23, 24, 25], 25, false]);
  expect(await readOn(historyOf(25), "street", next, 3)).toEqual({ events: [], next: 25, more: false });
});

test("one kind is found however much else happened since", async () => {
  const { events } = await readOn(historyOf(39), "street", 0, 2, "rule.failed");
  expect(numbersOf(events)).toEqual([20, 30]);
});

test("of a long history a part is read at once, and it is said that there is more", async () => {
  const first = await readOn(historyOf(52, 1), "street", 0, 2);
  expect([numbersOf(first.events), first.next, first.more]).toEqual([[49, 50], 50, true]);
  const second = await readOn(historyOf(52, 1), "street", first.next, 2);
  expect([numbersOf(second.events), second.more]).toEqual([[51, 52], false]);
});
