/** What asks for a cycle by itself. Ranges are those of the API; times of the clock are for ScheduleField, which hold
 *  together for TogetherField. */
import type { Triggers } from "../api/types";
import type { PlaceIn, Section } from "./settings";

const MOST = 1_000_000_000;

// prettier-ignore
export const TRIGGER_SECTIONS: readonly Section<PlaceIn<Triggers["rules"]>>[] = [
  {
    title: "A cycle begins",
    settings: [
      {
        place: "reviewed", name: "After reviewed items", kind: "count", unit: "items", min: 1, max: MOST, empty: "never",
        help: "So many were reviewed since the last cycle.",
      },
      {
        place: "corrected", name: "After corrected items", kind: "count", unit: "items", min: 1, max: MOST, empty: "never",
        help: "So many of them had to be corrected.",
      },
      {
        place: "failure_rate", name: "Above a failure rate", kind: "share", min: 0.0001, max: 0.9999, empty: "never",
        help: "Production surely fails more often: the lower end of its interval is above it.",
      },
      {
        place: "every_hours", name: "By the clock", kind: "span", unit: "h", per: 1, min: 0.01, max: 10_000, empty: "never",
        help: "So long after the last cycle ended.",
      },
      { place: "drift", name: "On drift", kind: "switch", help: "While the drift alarm is on." },
    ],
  },
  {
    title: "But only",
    settings: [
      {
        place: "least_new", name: "With newly reviewed items", kind: "count", unit: "items", min: 1, max: MOST,
        help: "At least so many, whatever asks for it: from nothing new nothing is learned.",
      },
      {
        place: "quiet_hours", name: "After a pause", kind: "span", unit: "h", per: 1, min: 0, max: 10_000,
        help: "So long after a cycle ended nothing asks for another.",
      },
      {
        place: "failed_hours", name: "After a failed cycle", kind: "span", unit: "h", per: 1, min: 0, max: 10_000,
        help: "The same pause after one that failed.",
      },
    ],
  },
];
