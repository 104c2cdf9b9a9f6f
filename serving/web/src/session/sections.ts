/** The views in sections, so that their names fit beside each other. */
import type { Tab } from "./route";

export interface Section {
  readonly name: string;
  /** The first is shown when the section is opened for the first time. */
  readonly tabs: readonly Tab[];
}

const SECTIONS: readonly Section[] = [
  { name: "Review", tabs: ["review"] },
  { name: "Overview", tabs: ["overview"] },
  { name: "Data", tabs: ["items", "selections", "clips", "snapshots", "map"] },
  { name: "Quality", tabs: ["quality", "lots"] },
  { name: "People", tabs: ["reviewers", "queue", "work", "comments"] },
  { name: "Setup", tabs: ["recipe", "policy", "functions", "webhooks"] },
];

/** Those that have some of these views, with these alone. */
export const sectionsOf = (tabs: readonly Tab[]): Section[] =>
  SECTIONS.map(({ name, tabs: all }) => ({ name, tabs: all.filter((tab) => tabs.includes(tab)) })).filter(
    (section) => section.tabs.length > 0,
  );
