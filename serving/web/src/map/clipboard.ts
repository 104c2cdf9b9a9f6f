import { count } from "../app/format";
import type { Notice } from "../review/session";

/** Puts digests, one a line, where they can be pasted; what came of it. */
export async function copied(digests: readonly string[]): Promise<Notice> {
  try {
    await navigator.clipboard.writeText(digests.join("\n"));
    return { tone: "info", title: `${count(digests.length)} copied`, detail: "One id a line.", hint: "" };
  } catch {
    return {
      tone: "error",
      title: "The browser lets this page copy nothing",
      detail: digests.slice(0, 3).join(" "),
      hint: "It does over https and on localhost.",
    };
  }
}
