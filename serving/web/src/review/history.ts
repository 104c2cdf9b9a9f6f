/** Undo and redo over immutable values. */
export interface History<T> {
  readonly past: readonly T[];
  readonly present: T;
  readonly future: readonly T[];
  /** What the last step was, so that a run of equal steps (a held arrow key) is undone as one. */
  readonly tag: string;
}

const DEPTH = 500;

export const begun = <T>(present: T): History<T> => ({ past: [], present, future: [], tag: "" });

/** `present` as the newest step. With the tag of the step before (not empty) it replaces that step. */
export function stepped<T>(history: History<T>, present: T, tag = ""): History<T> {
  if (present === history.present) return history;
  const merges = tag !== "" && tag === history.tag;
  const past = merges ? history.past : [...history.past, history.present].slice(-DEPTH);
  return { past, present, future: [], tag };
}

export function undone<T>(history: History<T>): History<T> {
  const previous = history.past.at(-1);
  if (previous === undefined) return history;
  return {
    past: history.past.slice(0, -1),
    present: previous,
    future: [history.present, ...history.future],
    tag: "",
  };
}

export function redone<T>(history: History<T>): History<T> {
  const [next, ...future] = history.future;
  if (next === undefined) return history;
  return { past: [...history.past, history.present], present: next, future, tag: "" };
}

/** The next step starts anew, even with the same tag. */
export const sealed = <T>(history: History<T>): History<T> => (history.tag === "" ? history : { ...history, tag: "" });
