/** Light or dark: as the system says, until the person says otherwise; that is kept in this browser. theme.css has the
 *  colours. */
import { useEffect, useState } from "react";

export type Theme = "light" | "dark";

const KEY = "askance/theme";

/** What was chosen; null: as the system. */
export function chosenTheme(storage: Storage): Theme | null {
  const kept = storage.getItem(KEY);
  return kept === "light" || kept === "dark" ? kept : null;
}

export const otherThan = (theme: Theme): Theme => (theme === "light" ? "dark" : "light");

/** Who chooses what the system says follows the system again. Where nothing can be kept, it holds until a reload. */
export function keepTheme(storage: Storage, theme: Theme, system: Theme): void {
  try {
    if (theme === system) storage.removeItem(KEY);
    else storage.setItem(KEY, theme);
  } catch {
    // a full or forbidden storage
  }
}

const lightSystem = (): MediaQueryList => window.matchMedia("(prefers-color-scheme: light)");
const systemTheme = (): Theme => (lightSystem().matches ? "light" : "dark");

/** Before the page is drawn, and whenever it changes. */
export function showTheme(theme: Theme | null = chosenTheme(window.localStorage)): void {
  const { dataset } = document.documentElement;
  if (theme === null) delete dataset["theme"];
  else dataset["theme"] = theme;
}

export function useTheme(): { readonly theme: Theme; readonly toggle: () => void } {
  const [system, setSystem] = useState(systemTheme);
  const [chosen, setChosen] = useState(() => chosenTheme(window.localStorage));
  useEffect(() => {
    const media = lightSystem();
    const follow = () => setSystem(systemTheme());
    const elsewhere = (event: StorageEvent) => event.key === KEY && setChosen(chosenTheme(window.localStorage));
    media.addEventListener("change", follow);
    window.addEventListener("storage", elsewhere);
    return () => {
      media.removeEventListener("change", follow);
      window.removeEventListener("storage", elsewhere);
    };
  }, []);
  useEffect(() => showTheme(chosen), [chosen]);
  const theme = chosen ?? system;
  const toggle = () => {
    const next = otherThan(theme);
    keepTheme(window.localStorage, next, system);
    setChosen(next === system ? null : next);
  };
  return { theme, toggle };
}
