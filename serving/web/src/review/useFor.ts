import { useCallback, useRef, useState } from "react";

/** State that belongs to one task: with another one it begins anew, and what is set late for the old one is dropped. */
export function useFor<T>(task: string, initial: T): [T, (next: T) => void] {
  const [kept, setKept] = useState({ task, value: initial });
  const shown = useRef(task);
  shown.current = task;
  const set = useCallback(
    (value: T) => {
      if (shown.current === task) setKept({ task, value });
    },
    [task],
  );
  return [kept.task === task ? kept.value : initial, set];
}
