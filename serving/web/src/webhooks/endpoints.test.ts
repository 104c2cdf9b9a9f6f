import { expect, test } from "vitest";
import { type Endpoint, backlogOf, isTroubled, stateOf, tellingOf } from "./endpoints";

const ENDPOINT: Endpoint = {
  enabled: true,
  why_disabled: "",
  failing_since: null,
  pending: 0,
  dead: 0,
  project_id: null,
};

test.each([
  [{}, "enabled"],
  [{ failing_since: "2026-05-01T12:00:00Z" }, "failing"],
  [{ enabled: false, failing_since: "2026-05-01T12:00:00Z" }, "paused"],
])("an endpoint with %o is %s", (known, words) => {
  expect(stateOf({ ...ENDPOINT, ...known }).words).toBe(words);
});

test.each([
  [0, 0, "nothing waits"],
  [1, 0, "1 waits"],
  [0, 3, "nothing waits · 3 dead"],
  [1200, 3, "1,200 wait · 3 dead"],
])("%i pending and %i dead are told as: %s", (pending, dead, words) => {
  expect(backlogOf({ ...ENDPOINT, pending, dead })).toBe(words);
});

test("a project shows the endpoints that are told of it", () => {
  const all = [null, "digits", "street"].map((project_id) => ({ ...ENDPOINT, project_id }));
  expect(tellingOf(all, "digits").map((one) => one.project_id)).toEqual([null, "digits"]);
});

test("a delivery that waits for its first try is no trouble", () => {
  expect(isTroubled({ state: "pending", error: "" })).toBe(false);
  expect(isTroubled({ state: "pending", error: "500" })).toBe(true);
  expect(isTroubled({ state: "dead", error: "500" })).toBe(true);
  expect(isTroubled({ state: "delivered", error: "500" })).toBe(false);
});
