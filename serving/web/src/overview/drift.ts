/** A look for drift in words, as `askance drift` says it. */
import type { DriftReport, DriftTest } from "../api/types";
import { percent } from "../app/format";

export interface Word {
  readonly tone: "good" | "warn" | "bad";
  readonly words: string;
  readonly detail: string;
}

/** An alarm takes several windows in a row, and so does its end; looks by hand begin and end none. */
export function verdictOf(report: Pick<DriftReport, "verdict" | "alarm" | "scheduled">): Word {
  const drifts = report.verdict === "drift";
  if (report.alarm === drifts || !report.scheduled) {
    if (drifts) return { tone: "bad", words: "drift", detail: "Production does not look like the reference." };
    return { tone: "good", words: "no drift", detail: "No test shows a difference." };
  }
  if (drifts) return { tone: "warn", words: "drift in this window", detail: "An alarm once others confirm it." };
  return { tone: "warn", words: "no drift in this window", detail: "The alarm is over once others confirm it." };
}

const LOOKS_AT: Record<string, string> = {
  embeddings: "what images look like",
  scores: "how sure the model is",
  classes: "what is found",
};

export const looksAt = (test: Pick<DriftTest, "name">): string => LOOKS_AT[test.name] ?? test.name;

/** The effect with its 95 % interval, in the words that fit the test. */
export function effectOf({ name, effect, low, high }: Pick<DriftTest, "name" | "effect" | "low" | "high">): string {
  switch (name) {
    case "embeddings":
      return `told apart with AUROC ${effect.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
    case "scores":
      return `largest gap ${effect.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
    case "classes":
      return `${percent(effect)} of the objects moved (${percent(low)} to ${percent(high)})`;
    default:
      return `${effect.toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)})`;
  }
}

/** "+12.5%", with a real minus sign. */
export const signedPercent = (value: number): string => `${value < 0 ? "−" : "+"}${percent(Math.abs(value), 1)}`;
