import { expect, test } from "vitest";
import { abilitiesOf } from "./abilities";
import { TABS } from "./route";
import { sectionsOf } from "./sections";

test("each view is in one section", () => {
  const tabs = sectionsOf(TABS).flatMap((section) => section.tabs);
  expect([...tabs].sort()).toEqual([...TABS].sort());
});

test("who may see one view has one section with it alone", () => {
  expect(sectionsOf(abilitiesOf("reviewer").tabs)).toEqual([{ name: "Review", tabs: ["review"] }]);
  expect(sectionsOf(abilitiesOf("producer").tabs)).toEqual([{ name: "Overview", tabs: ["overview"] }]);
});
