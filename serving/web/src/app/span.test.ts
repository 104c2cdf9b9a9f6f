import { expect, test } from "vitest";
import { sinceOf, spanInWords } from "./span";

test("the same minute asks the same question", () => {
  const now = Date.parse("2026-05-31T12:00:30Z");
  expect(sinceOf(30, now)).toBe("2026-05-01T12:00:00.000Z");
  expect(sinceOf(30, now + 20_000)).toBe(sinceOf(30, now));
});

test("one day is told without its number", () => {
  expect(spanInWords(1)).toBe("the last day");
  expect(spanInWords(7)).toBe("the last 7 days");
});
