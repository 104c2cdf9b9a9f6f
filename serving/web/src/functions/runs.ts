/** Runs of custom functions and rules that failed, as the history has them, in words. */
import type { FunctionCall, ProjectEvent } from "../api/types";
import { counted } from "../app/figures";

export interface Run {
  readonly name: string;
  /** With its version; empty where it is not known. */
  readonly package: string;
  readonly trigger: string;
  readonly item: string | null;
  readonly outcome: string;
  readonly why: string;
  readonly seconds: number | null;
  readonly attempt: number;
  /** Of the queue; null where a button was pressed. */
  readonly call: string | null;
}

export function runOf({ body }: Pick<ProjectEvent, "body">): Run {
  const { item_digest, seconds, attempt, call_id } = body;
  return {
    name: textOf(body["function"]),
    package: textOf(body["package"]),
    trigger: textOf(body["trigger"]),
    item: typeof item_digest === "string" ? item_digest : null,
    outcome: textOf(body["outcome"]),
    why: textOf(body["why"]),
    seconds: typeof seconds === "number" ? seconds : null,
    attempt: typeof attempt === "number" ? attempt : 1,
    call: typeof call_id === "string" ? call_id : null,
  };
}

const TRIGGERS: Record<string, string> = { button: "a button", manual: "by hand" };

export const triggerInWords = (trigger: string): string => TRIGGERS[trigger] ?? trigger;

export const outcomeInWords = (outcome: string): string => outcome.replaceAll("_", " ");

export const toneOf = (outcome: string): "good" | "bad" => (outcome === "done" ? "good" : "bad");

export const CALL_STATES: Record<FunctionCall["state"], { readonly tone: string; readonly words: string }> = {
  pending: { tone: "info", words: "waits" },
  done: { tone: "good", words: "done" },
  failed: { tone: "bad", words: "given up" },
};

export const waitingInWords = (waiting: number): string =>
  waiting === 0 ? "no call waits" : counted(waiting, "call waits", "calls wait");

export interface FailedRule {
  readonly rule: string;
  readonly name: string;
  readonly why: string;
}

export const failedRuleOf = ({ body }: Pick<ProjectEvent, "body">): FailedRule => ({
  rule: textOf(body["rule"]),
  name: textOf(body["function"]),
  why: textOf(body["why"]),
});

const textOf = (value: unknown): string => (typeof value === "string" ? value : "");
