import type { ReactNode } from "react";
import { ZOOM_STEP } from "../review/keymap";
import type { MapHandle } from "./MapCanvas";

interface Props {
  readonly canvas: { readonly current: MapHandle | null };
  readonly lassoing: boolean;
  readonly onLasso: () => void;
}

/** For hands without a wheel or a Shift key. */
export function MapTools({ canvas, lassoing, onLasso }: Props) {
  const tool = (name: string, keys: string, act: () => void, icon: ReactNode, pressed?: boolean) => (
    <button
      className={pressed ? "tool on" : "tool"}
      aria-label={name}
      title={`${name} (${keys})`}
      {...(pressed === undefined ? {} : { "aria-pressed": pressed })}
      onClick={act}
    >
      <svg viewBox="0 0 20 20" aria-hidden="true">
        {icon}
      </svg>
    </button>
  );
  return (
    <div className="toolbar" role="toolbar" aria-label="Map">
      {tool(
        "Select by drawing around",
        "Shift and drag",
        onLasso,
        <path d="M10 4c4 0 7 1.800 7 4.500S14 13 10 13s-7-1.800-7-4.500S6 4 10 4ZM6 12.500c-1.500.8-1.500 2.800.3 3 1.400.1 2-1.200 1-2" />,
        lassoing,
      )}
      <span className="gap" />
      {tool("Zoom out", "−", () => canvas.current?.zoom(1 / ZOOM_STEP), <path d="M5 10h10" />)}
      {tool(
        "Show all",
        "F",
        () => canvas.current?.fit(),
        <path d="M3.500 7.500v-4h4M12.500 3.500h4v4M16.500 12.500v4h-4M7.500 16.500h-4v-4" />,
      )}
      {tool("Zoom in", "+", () => canvas.current?.zoom(ZOOM_STEP), <path d="M5 10h10M10 5v10" />)}
    </div>
  );
}
