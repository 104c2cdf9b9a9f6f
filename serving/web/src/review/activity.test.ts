import { expect, test } from "vitest";
import { type Activity, type Sign, begunActivity, noticed } from "./activity";

const input: Sign = { type: "input" };
const time: Sign = { type: "time" };
const visible = (is: boolean): Sign => ({ type: "visible", visible: is });

/** Seconds counted after signs at these seconds. */
function seconds(...signs: [at: number, sign: Sign][]): number {
  const end = signs.reduce<Activity>((activity, [at, sign]) => noticed(activity, sign, at * 1000), begunActivity(0));
  return end.activeMs / 1000;
}

test("work counts while there are signs of it, and for a minute after the last", () => {
  expect(seconds([30, input], [80, time])).toBe(80);
  expect(seconds([30, input], [300, time])).toBe(90);
});

test("time away does not count, and coming back does not make it count", () => {
  expect(seconds([600, input], [610, time])).toBe(70);
});

test("a page out of sight does not count", () => {
  expect(seconds([10, visible(false)], [40, visible(true)], [50, time])).toBe(20);
});

test("asking often changes nothing", () => {
  const often = Array.from({ length: 300 }, (_, at): [number, Sign] => [at, time]);
  expect(seconds(...often)).toBe(60);
});

test("what was counted before a reload is kept", () => {
  expect(noticed(begunActivity(0, true, 5000), time, 1000).activeMs).toBe(6000);
});
