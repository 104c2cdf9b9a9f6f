import { expect, test } from "vitest";
import { MemoryStorage } from "../testing/memoryStorage";
import { abilitiesOf } from "./abilities";
import { TABS, fragmentOf, routeOf } from "./route";
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
  expect(routeOf(fragmentOf("night-scenes", "overview"))).toEqual({
    project: "night-scenes",
    tab: "overview",
    place: null,
  });
  expect(routeOf("#/digits/elsewhere")).toEqual({ project: "digits", tab: null, place: null });
  expect(routeOf("#/%E0%A4%A/review")).toEqual({ project: null, tab: "review", place: null });
  expect(routeOf("")).toEqual({ project: null, tab: null, place: null });
});

test("an address may name what of a tab is shown, whatever is in its name", () => {
  expect(routeOf(fragmentOf("digits", "lots", "a/b c"))).toEqual({ project: "digits", tab: "lots", place: "a/b c" });
});

test("each role sees what it may do; reviewers see their work alone, since audits and golden items are blind", () => {
  expect(abilitiesOf("reviewer")).toEqual({ tabs: ["review"], operate: false });
  expect(abilitiesOf("producer")).toEqual({ tabs: ["overview"], operate: false });
  expect(abilitiesOf("operator")).toEqual({ tabs: TABS, operate: true });
});
