import { otherThan, useTheme } from "./theme";

/** A sun where it is light, a moon where it is dark. */
export function ThemeSwitch() {
  const { theme, toggle } = useTheme();
  const title = `To the ${otherThan(theme)} theme`;
  return (
    <button className="icon" title={title} aria-label={title} data-testid="theme" data-theme-now={theme} onClick={toggle}>
      <svg viewBox="0 0 20 20" className="glyph" aria-hidden="true">
        {theme === "light" ? (
          <>
            <circle cx="10" cy="10" r="3.6" />
            <path d="M10 1.8v2.4M10 15.8v2.4M1.8 10h2.4M15.8 10h2.4M4.2 4.2l1.7 1.7M14.1 14.1l1.7 1.7M4.2 15.8l1.7-1.7M14.1 5.9l1.7-1.7" />
          </>
        ) : (
          <path d="M16.6 12.2A7 7 0 0 1 7.8 3.4a7 7 0 1 0 8.8 8.8z" />
        )}
      </svg>
    </button>
  );
}
