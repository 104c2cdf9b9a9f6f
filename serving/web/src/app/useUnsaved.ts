import { useSyncExternalStore } from "react";
import type { Me } from "../api/types";
import { Unsaved } from "./unsaved";

const unsaved = new Unsaved(window.sessionStorage);

/** What this person has typed for the project and not saved, null where nothing; and how to keep other. reads: an older
 *  page may have kept something else. */
export function useUnsaved<T>(
  me: Me,
  project: string,
  what: string,
  reads: (value: unknown) => value is T,
): [T | null, (value: T | null) => void] {
  const name = `${me.id}/${project}/${what}`;
  const value = useSyncExternalStore(unsaved.subscribe, () => unsaved.get(name));
  return [reads(value) ? value : null, (next) => unsaved.set(name, next)];
}
