import { expect, test } from "vitest";
import type { Bias, WorkRow } from "../api/types";
import { basisOf, biasInWords, defectsOf, judgingOf, paceOf, perItem, ratesFrom, requeuedInWords, whyAmbiguous } from "./work";

test("a pace is told with what is usual; without answers there is none", () => {
  const row = { median_seconds: 12, low_seconds: 8, high_seconds: 90 } as WorkRow;
  expect(paceOf(row)).toBe("12.0 s (8.0 s to 1 min 30 s)");
  expect(paceOf({ ...row, median_seconds: null })).toBe("–");
});

test("who only judges has a pace of judging, and no pace of answers", () => {
  const judge = { judging_median_seconds: 6, judging_low_seconds: 4, judging_high_seconds: 9 } as WorkRow;
  expect(judgingOf(judge)).toBe("6.0 s (4.0 s to 9.0 s)");
  expect(paceOf({ ...judge, median_seconds: null })).toBe("–");
});

test("defects are told with how many answers QA looked at", () => {
  expect(defectsOf({ defect_share: 0.125, inspected: 16 } as WorkRow)).toBe("13% of 16");
  expect(defectsOf({ defect_share: null, inspected: 0 } as WorkRow)).toBe("–");
});

const BIAS = { found: false, low: -0.1, high: 0.3 } as Bias;

test.each([
  [{ found: true, low: 0.1 }, /let stand/],
  [{ low: -0.5, high: -0.1 }, /correct more/],
  [{}, /from −0.10 to \+0.30 has 0 in it/],
])("automation bias with %o", (known, words) => {
  expect(biasInWords({ ...BIAS, ...known })).toMatch(words);
});

test("an item's cost is known only where everybody's rate is", () => {
  const spent = { key: "", name: "", items: 4, tasks: 5, minutes: 1, minutes_per_item: 0.25 };
  expect(perItem({ ...spent, money: 10 })).toBe(2.5);
  expect(perItem({ ...spent, money: null })).toBeNull();
  expect(perItem({ ...spent, money: 0, items: 0 })).toBeNull();
});

test("it is said that answers to hard items overestimate", () => {
  const everything = { items: 9, sample: 1, minutes: BIAS, saved: BIAS, money: null, money_saved: null };
  expect(basisOf({ ...everything, audits: true } as never)).toContain("1 audit,");
  expect(basisOf({ ...everything, audits: false } as never)).toContain("easy ones would take less");
});

test("why an item is ambiguous", () => {
  const item = { item_digest: "", ambiguity: 1, seconds: 1, answers: 2 };
  expect(whyAmbiguous({ ...item, agreement: 0.4, deviation: 2.5 })).toBe(
    "answers agree to 0.40 (F1); took 2.5 standard deviations longer than usual",
  );
  expect(whyAmbiguous({ ...item, agreement: null, deviation: 0 })).toBe("");
});

test("each reason for leaving items as they are is told once", () => {
  const left = ["a", "b"].map((item_digest) => ({ item_digest, why: "it is golden" }));
  expect(requeuedInWords({ items: ["c"], left })).toEqual({
    title: "1 item is open again for the experts",
    detail: "2 are left as they are: it is golden",
  });
});

test("rates as they were typed; empty ones are not known, or as everybody's", () => {
  expect(ratesFrom("eur", "30", { a: "35.5", b: " " })).toEqual({
    rates: { currency: "EUR", per_hour: 30, people: { a: 35.5 } },
  });
  expect(ratesFrom("EUR", "", {})).toEqual({ rates: { currency: "EUR", per_hour: null, people: {} } });
});

test.each([
  ["euro", "30"],
  ["EUR", "-1"],
  ["EUR", "much"],
  ["EUR", "Infinity"],
])("%s with %s an hour is no rate", (currency, perHour) => {
  expect(ratesFrom(currency, perHour, {})).toHaveProperty("wrong");
});
