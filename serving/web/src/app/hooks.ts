import { useEffect, useLayoutEffect, useRef, useState } from "react";
import type { Point, Size } from "../review/geometry";

/** Calls `work` now, when `about` changes, and every `milliseconds` while the page can be seen. */
export function usePolling(work: () => Promise<void>, milliseconds: number, about = ""): void {
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
  }, [milliseconds, about]);
}

/** Whether the page is in sight. */
export function useVisible(): boolean {
  const [visible, setVisible] = useState(!document.hidden);
  useEffect(() => {
    const look = () => setVisible(!document.hidden);
    document.addEventListener("visibilitychange", look);
    return () => document.removeEventListener("visibilitychange", look);
  }, []);
  return visible;
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

/** The size of the element in CSS px, null until it is known. */
export function useSize(element: { current: HTMLElement | null }): Size | null {
  const [size, setSize] = useState<Size | null>(null);
  useLayoutEffect(() => {
    const target = element.current;
    if (!target) return undefined;
    const measure = () => {
      const { clientWidth: width, clientHeight: height } = target;
      if (width > 0 && height > 0)
        setSize((old) => (old?.width === width && old.height === height ? old : { width, height }));
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(target);
    return () => observer.disconnect();
  }, [element]);
  return size;
}

/** React listens to wheels passively; zooming has to keep the page from scrolling. */
export function useWheel(
  element: { current: HTMLElement | null },
  onWheel: (event: WheelEvent, at: Point) => void,
): void {
  const latest = useRef(onWheel);
  latest.current = onWheel;
  useEffect(() => {
    const target = element.current;
    if (!target) return undefined;
    const listen = (event: WheelEvent) => {
      event.preventDefault();
      latest.current(event, pointIn({ currentTarget: target, clientX: event.clientX, clientY: event.clientY }));
    };
    target.addEventListener("wheel", listen, { passive: false });
    return () => target.removeEventListener("wheel", listen);
  }, [element]);
}

/** How much a turn of the wheel zooms; a trackpad's pinch arrives as one with Ctrl held. */
export const wheelFactor = (event: WheelEvent): number =>
  Math.exp(-event.deltaY * (event.deltaMode === 1 ? 0.05 : event.ctrlKey ? 0.01 : 0.0018));

/** Where the pointer is, in CSS px of the element that listens. */
export function pointIn(event: { currentTarget: Element; clientX: number; clientY: number }): Point {
  const frame = event.currentTarget.getBoundingClientRect();
  return { x: event.clientX - frame.left, y: event.clientY - frame.top };
}
