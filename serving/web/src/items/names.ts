/** What an item is called: the file that it came from, where that is known. */
import { short } from "../app/format";

interface Named {
  readonly digest: string;
  readonly meta: Readonly<Record<string, string>>;
}

const LONGEST = 48; // characters of a path

/** Where it came from; null where nobody said. */
export const pathOf = ({ meta }: Pick<Named, "meta">): string | null => meta["path"]?.trim() || null;

/** "…/line 1/frame-014.png": the end of a path, which tells files apart. */
export function shortPath(path: string, longest = LONGEST): string {
  if (path.length <= longest) return path;
  const kept = path.slice(1 - longest);
  const folder = kept.indexOf("/");
  return `…${folder === -1 ? kept : kept.slice(folder)}`;
}

/** "frame-014.png" */
export const fileOf = (path: string): string => path.split("/").filter((part) => part !== "").pop() ?? path;

/** Of an item by itself. */
export function titleOf(item: Named): string {
  const path = pathOf(item);
  return path === null ? `Item ${short(item.digest)}` : shortPath(path);
}
