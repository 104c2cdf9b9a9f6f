import { useEffect, useRef, useState } from "react";

/** Calls `work` now and every `milliseconds` while the page can be seen; never two at once. */
export function usePolling(work: () => Promise<void>, milliseconds: number): void {
  const latest = useRef(work);
  latest.current = work;
  useEffect(() => {
    let stopped = false;
    let timer = 0;
    const run = async () => {
      if (!document.hidden) await latest.current();
      if (!stopped) timer = window.setTimeout(() => void run(), milliseconds);
    };
    void run();
    return () => {
      stopped = true;
      window.clearTimeout(timer);
    };
  }, [milliseconds]);
}

/** The present time, renewed every `milliseconds`. */
export function useNow(milliseconds: number): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = window.setInterval(() => setNow(Date.now()), milliseconds);
    return () => window.clearInterval(timer);
  }, [milliseconds]);
  return now;
}

export type Tenure = "asking" | "ours" | "elsewhere";

/**
 * Only one tab at a time may review as the same person in the same project: two would work on the same tasks.
 * Browsers without Web Locks (plain http from another computer) get no such guard; leases still hold.
 */
export function useSoleTab(name: string): { tenure: Tenure; takeOver: () => void } {
  const [tenure, setTenure] = useState<Tenure>("asking");
  const [steals, setSteals] = useState(0);
  useEffect(() => {
    const locks = navigator.locks as LockManager | undefined;
    if (!locks) {
      setTenure("ours");
      return undefined;
    }
    let release: () => void = () => undefined;
    let left = false;
    const holding = new Promise<void>((resolve) => (release = resolve));
    const hold = async (): Promise<void> => {
      if (left) return;
      setTenure("ours");
      await holding;
    };
    const waiting = new AbortController();
    const waitInLine = () => locks.request(name, { signal: waiting.signal }, hold);
    const first =
      steals > 0
        ? locks.request(name, { steal: true }, hold)
        : locks.request(name, { ifAvailable: true }, async (lock) => {
            if (lock) return hold();
            if (left) return undefined;
            setTenure("elsewhere");
            waitInLine().catch(() => !left && setTenure("elsewhere"));
            return undefined;
          });
    first.catch(() => !left && setTenure("elsewhere"));
    return () => {
      left = true;
      waiting.abort();
      release();
    };
  }, [name, steals]);
  return { tenure, takeOver: () => setSteals((count) => count + 1) };
}
