import { useEffect, useRef, useState } from "react";
import { type CheckApi, Checker, type Findings, NOTHING_FOUND } from "./checker";
import type { Shape } from "./shapes";

/** What the recipe's rules find wrong with the shapes of the task, as far as it is known. */
export function useFindings(api: CheckApi, task: string, shapes: readonly Shape[]): Findings {
  const [findings, setFindings] = useState<{ task: string; found: Findings } | null>(null);
  const checker = useRef<Checker | null>(null);
  useEffect(() => {
    const own = new Checker(api, (found) => setFindings({ task, found }), {
      set: (work, milliseconds) => window.setTimeout(work, milliseconds),
      clear: (timer) => window.clearTimeout(timer),
    });
    checker.current = own;
    return () => own.leave();
  }, [api, task]);
  useEffect(() => checker.current?.look(task, shapes), [api, task, shapes]);
  return findings?.task === task ? findings.found : NOTHING_FOUND;
}
