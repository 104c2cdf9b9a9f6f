import { expect, test } from "vitest";
import { ago, moment } from "./format";
import { counted, duration, estimated, exactly, fixed, minutes, money, signed } from "./figures";

test.each([
  [null, "–"],
  [0, "0.0 s"],
  [8.25, "8.3 s"],
  [59.96, "1 min"],
  [200, "3 min 20 s"],
  [3600, "1 h"],
  [7320, "2 h 2 min"],
  [3_600_000, "1,000 h"],
])("%s seconds are told as %s", (seconds, words) => {
  expect(duration(seconds)).toBe(words);
});

test("what is not known is a dash, with no unit", () => {
  expect([money(null, "EUR"), signed(null)]).toEqual(["–", "–"]);
});

test("a share has as many digits as it needs, and numbers below nothing a real minus sign", () => {
  expect([0, 0.1, 0.0125, 1].map(exactly)).toEqual(["0%", "10%", "1.25%", "100%"]);
  expect(fixed(-0.47)).toBe("−0.47");
});

test("money has its currency and two digits", () => {
  expect(money(1234.5, "EUR")).toBe("EUR 1,234.50");
});

test("an estimate has its interval, which may begin below nothing", () => {
  expect(estimated({ value: 10, low: -5, high: 25 }, minutes)).toBe("10 min (−5 min to 25 min)");
});

test("one of a thing is told as one", () => {
  expect([counted(1, "item"), counted(1200, "item"), counted(2, "try", "tries")]).toEqual([
    "1 item",
    "1,200 items",
    "2 tries",
  ]);
});

test("a time is told in one format, with its year where it is not this one", () => {
  const now = new Date(2026, 10, 27, 12).getTime();
  expect(moment(new Date(2026, 10, 26, 14, 5).getTime(), now)).toBe("26 Nov, 14:05");
  expect(moment(new Date(2025, 0, 3, 9, 0).toISOString(), now)).toBe("3 Jan 2025, 09:00");
  expect(ago(new Date(2025, 0, 3, 9, 0).toISOString(), now)).toBe("3 Jan 2025, 09:00");
});
