/** An event's body in a few words: what it says rather than which ids it names, where it says anything. */

export function aboutOf(body: Readonly<Record<string, unknown>>): string {
  const said = Object.entries(body).flatMap(([name, value]) => {
    const words = inWords(value);
    return words === "" ? [] : [{ name, words }];
  });
  const telling = said.filter(({ name }) => !name.endsWith("_id") && !name.endsWith("_digest"));
  const shown = telling.length > 0 ? telling : said.slice(0, 1);
  return shown
    .slice(0, 3)
    .map(({ name, words }) => `${name.replace(/_/g, " ")} ${words}`)
    .join(" · ");
}

function inWords(value: unknown): string {
  if (typeof value === "number") return Number.isInteger(value) ? String(value) : value.toFixed(2);
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return value.map(inWords).join(", ");
  if (typeof value === "object" && value !== null) {
    const parts = Object.entries(value).map(([name, part]) => `${inWords(part)} ${name}`);
    return parts.length > 0 ? parts.join(", ") : "none";
  }
  return "";
}
