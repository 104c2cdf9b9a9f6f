/** A delivery, and what came of a ping, in words. */
import type { Delivery, WebhookAnswer } from "../api/types";
import { counted } from "../app/figures";

export const TONES = { pending: "info", delivered: "good", dead: "bad" } as const;

/** Whether it has failed already and is to be tried again, whatever its state is called. */
export const stateInWords = ({ state, attempts }: Pick<Delivery, "state" | "attempts">): string =>
  state === "pending" && attempts > 0
    ? "to be tried again"
    : { pending: "to be sent", delivered: "delivered", dead: "dead" }[state];

export const triesInWords = (attempts: number): string => counted(attempts, "try", "tries");

/** What came of a ping. */
export function pingInWords({ status, error, milliseconds, said }: WebhookAnswer): {
  readonly tone: "info" | "error";
  readonly title: string;
  readonly detail: string;
  readonly hint: string;
} {
  if (error !== "") {
    return {
      tone: "error",
      title: "The ping did not arrive",
      detail: error,
      hint: "Mend the receiver and test again.",
    };
  }
  const title = `It answered ${status ?? "nothing"} after ${Math.round(milliseconds)} ms`;
  return { tone: "info", title, detail: said, hint: "" };
}

/** The body of a delivery as it is read: indented, where it is JSON. */
export function readable(body: string): string {
  try {
    return JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    return body;
  }
}
