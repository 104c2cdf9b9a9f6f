import { useEffect, useRef } from "react";

/** Keys of the whole page, unless they are meant for a field, a button or a dialog. */
export function useKeys(onKey: (event: KeyboardEvent) => void): void {
  const latest = useRef(onKey);
  latest.current = onKey;
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (event.defaultPrevented || meantElsewhere(event)) return;
      latest.current(event);
    };
    window.addEventListener("keydown", listen);
    return () => window.removeEventListener("keydown", listen);
  }, []);
}

export const onCanvas = (target: EventTarget | null): boolean =>
  target === document.body || (target instanceof HTMLElement && target.closest(".canvas") !== null);

function meantElsewhere(event: KeyboardEvent): boolean {
  const target = event.target;
  if (!(target instanceof HTMLElement)) return false;
  if (target.closest("input, textarea, select, dialog")) return true;
  const presses = event.key === "Enter" || event.key === " " || event.key === "Tab";
  return presses && target.closest("button, a, summary") !== null;
}
