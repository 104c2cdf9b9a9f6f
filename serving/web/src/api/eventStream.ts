/** Server-sent events over fetch: EventSource sends no token. */

/** Takes a stream's text in pieces, cut anywhere, and gives the data of each message that is whole. */
export class Messages {
  private rest = "";

  add(text: string): string[] {
    const parts = (this.rest + text).replaceAll("\r\n", "\n").split("\n\n");
    this.rest = parts.pop() ?? "";
    return parts.map(dataOf).filter((data) => data !== "");
  }
}

/** Of one message; comments, which say that the service is there, have none. */
const dataOf = (message: string): string =>
  message
    .split("\n")
    .filter((line) => line.startsWith("data:"))
    .map((line) => line.slice("data:".length).replace(/^ /, ""))
    .join("\n");

/** The pieces of an answer's body as they come, as text. */
export async function* piecesOf(response: Response): AsyncGenerator<string> {
  const reader = response.body?.getReader();
  if (!reader) return;
  const decoder = new TextDecoder();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield decoder.decode(value, { stream: true });
    }
  } finally {
    void reader.cancel().catch(() => undefined);
  }
}
