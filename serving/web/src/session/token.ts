/** Where the token lives between page loads, and how it comes in by a link. */

const KEY = "askance/token";

export interface Places {
  /** Forgotten when the tab closes. */
  readonly session: Storage;
  /** Kept on this computer: "stay signed in". */
  readonly local: Storage;
}

export const storedToken = (places: Places): string | null => places.session.getItem(KEY) ?? places.local.getItem(KEY);

export function storeToken(places: Places, token: string, stay: boolean): void {
  forgetToken(places);
  (stay ? places.local : places.session).setItem(KEY, token);
}

export function forgetToken(places: Places): void {
  places.session.removeItem(KEY);
  places.local.removeItem(KEY);
}

/** The token in a fragment such as "#token=abc" and the fragment without it; fragments never reach a server. */
export function tokenInFragment(fragment: string): { token: string; rest: string } | null {
  const parts = fragment.replace(/^#/, "").split("&");
  const found = parts.find((part) => part.startsWith("token="));
  const token = found ? decoded(found.slice("token=".length)).trim() : "";
  if (!found || token === "") return null;
  const rest = parts.filter((part) => part !== found).join("&");
  return { token, rest: rest === "" ? "" : `#${rest}` };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
