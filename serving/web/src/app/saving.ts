/** What the service sends, as a file of the browser's. It is fetched, since a link would not carry the token. */

const KEPT_MS = 60_000;

export async function saved(answer: Response, name: string): Promise<void> {
  const address = URL.createObjectURL(await answer.blob());
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(address), KEPT_MS);
}
