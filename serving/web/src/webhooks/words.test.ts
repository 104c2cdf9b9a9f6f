import { expect, test } from "vitest";
import { pingInWords, readable, stateInWords, triesInWords } from "./words";

test.each([
  ["pending" as const, 0, "to be sent"],
  ["pending" as const, 2, "to be tried again"],
  ["dead" as const, 9, "dead"],
  ["delivered" as const, 1, "delivered"],
])("a delivery that is %s after %i tries is %s", (state, attempts, words) => {
  expect(stateInWords({ state, attempts })).toBe(words);
});

test("a try, some tries", () => {
  expect([triesInWords(1), triesInWords(3)]).toEqual(["1 try", "3 tries"]);
});

test("a ping that did not arrive is an error with what to do", () => {
  const lost = pingInWords({ status: null, error: "connection refused", milliseconds: 3, said: "" });
  expect([lost.tone, lost.detail]).toEqual(["error", "connection refused"]);
  expect(lost.hint).not.toBe("");
  const arrived = pingInWords({ status: 204, error: "", milliseconds: 12.4, said: "" });
  expect([arrived.tone, arrived.title]).toEqual(["info", "It answered 204 after 12 ms"]);
});

test("a body that is JSON is indented, another one is shown as it is", () => {
  expect(readable('{"a":1}')).toBe('{\n  "a": 1\n}');
  expect(readable("not json")).toBe("not json");
});
