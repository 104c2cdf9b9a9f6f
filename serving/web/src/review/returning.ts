/** What is to be mended in somebody's answer, put together before it goes back. */
import type { ReturnedIssue } from "../api/types";

export type Returning = readonly ReturnedIssue[];

export type ReturningStep =
  { type: "pin"; message: string; shapes: readonly string[] } | { type: "drop"; index: number };
/** Without words there is nothing to mend. */
export function returning(issues: Returning, step: ReturningStep): Returning {
  switch (step.type) {
    case "pin": {
      const message = step.message.trim();
      return message === "" ? issues : [...issues, { message, shapes: step.shapes }];
    }
    case "drop":
      return issues.filter((_, index) => index !== step.index);
  }
}
