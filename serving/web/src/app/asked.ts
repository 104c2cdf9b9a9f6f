/** Figures that a view asks the service for, and asks again while it is looked at. */
import { useRef, useState } from "react";
import { type Described, ProblemError, describe } from "../api/problem";
import { usePolling } from "./hooks";

export interface Asked<T> {
  /** What was answered last; null before the first answer. */
  readonly value: T | null;
  /** Why there is no newer answer. */
  readonly problem: Described | null;
  /** Whether that is because the project has no model yet, which is no failure. */
  readonly noModel: boolean;
  /** Whether the answer is to another question than the present one, whose answer is on its way. */
  readonly old: boolean;
  readonly refresh: () => Promise<void>;
}

/** about: names the question. When it changes, it is asked at once, and a late answer to the one before is dropped. */
export function useAsked<T>(ask: () => Promise<T>, about: string, milliseconds: number): Asked<T> {
  const [answer, setAnswer] = useState<{ value: T | null; to: string; error: unknown }>({
    value: null,
    to: about,
    error: null,
  });
  const newest = useRef(0);
  const refresh = async () => {
    newest.current += 1;
    const number = newest.current;
    try {
      const value = await ask();
      if (number === newest.current) setAnswer({ value, to: about, error: null });
    } catch (error) {
      if (number === newest.current) setAnswer((before) => ({ ...before, error }));
    }
  };
  usePolling(refresh, milliseconds, about);
  const { value, to, error } = answer;
  const noModel = error instanceof ProblemError && error.code === "no-champion";
  return { value, problem: error === null ? null : describe(error), noModel, old: to !== about, refresh };
}

export interface Page<T> {
  readonly rows: readonly T[];
  /** Where the next page begins; null where there is none. */
  readonly next: string | null;
}

/** The first pages of a list, all asked for again each time, so that what moved or went is seen. more: one further. */
export function usePages<T>(
  ask: (after: string | null) => Promise<Page<T>>,
  about: string,
  milliseconds: number,
): Asked<Page<T>> & { readonly more: () => void } {
  const [wanted, setWanted] = useState({ about, pages: 1 });
  const pages = wanted.about === about ? wanted.pages : 1;
  const asked = useAsked(() => firstPages(ask, pages), `${about}#${pages}`, milliseconds);
  return { ...asked, more: () => setWanted({ about, pages: pages + 1 }) };
}

export async function firstPages<T>(ask: (after: string | null) => Promise<Page<T>>, pages: number): Promise<Page<T>> {
  let all: Page<T> = await ask(null);
  for (let page = 1; page < pages && all.next !== null; page += 1) {
    const { rows, next } = await ask(all.next);
    all = { rows: [...all.rows, ...rows], next };
  }
  return all;
}
