import { expect, test } from "vitest";
import { MemoryStorage } from "../testing/memoryStorage";
import { abilitiesOf } from "./abilities";
import { fragmentOf, routeOf } from "./route";
import { forgetToken, storeToken, storedToken, tokenInFragment } from "./token";

test.each([
  ["#token=abc", { token: "abc", rest: "" }],
  ["#token=a%2Bb&/digits/review", { token: "a+b", rest: "#/digits/review" }],
  ["#/digits/review", null],
  ["#token=", null],
  ["", null],
])("a token in the address %s", (fragment, expected) => {
  expect(tokenInFragment(fragment)).toEqual(expected);
});

test("a token is kept for the tab, or for longer where asked, and forgotten in both", () => {
  const places = { session: new MemoryStorage(), local: new MemoryStorage() };
  storeToken(places, "short", false);
  expect([storedToken(places), places.local.length]).toEqual(["short", 0]);
  storeToken(places, "long", true);
  expect([storedToken(places), places.session.length]).toEqual(["long", 0]);
  forgetToken(places);
  expect(storedToken(places)).toBeNull();
});

test("an address names project and tab, and anything else names neither", () => {
  expect(routeOf(fragmentOf("night-scenes", "overview"))).toEqual({ project: "night-scenes", tab: "overview" });
  expect(routeOf(fragmentOf("digits", "map"))).toEqual({ project: "digits", tab: "map" });
  expect(routeOf("#/digits/elsewhere")).toEqual({ project: "digits", tab: null });
  expect(routeOf("#/%E0%A4%A/review")).toEqual({ project: null, tab: "review" });
  expect(routeOf("")).toEqual({ project: null, tab: null });
});

test("each role sees what it may do; reviewers see neither overview nor map, since audits are blind", () => {
  expect(abilitiesOf("reviewer")).toEqual({ tabs: ["review"], operate: false });
  expect(abilitiesOf("producer")).toEqual({ tabs: ["overview"], operate: false });
  expect(abilitiesOf("operator")).toEqual({ tabs: ["review", "overview", "map"], operate: true });
});
