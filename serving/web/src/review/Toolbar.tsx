import type { ReactNode } from "react";
import type { History } from "./history";
import { type Command, ZOOM_STEP } from "./keymap";

interface Props {
  readonly history: History<unknown>;
  readonly drawing: boolean;
  readonly hidden: boolean;
  /** In clips: whether the selected shape is outside; null for what has no frames. */
  readonly outside: boolean | null;
  readonly onCommand: (command: Command) => void;
}

/** The commands of the image that have no place elsewhere, for the mouse. */
export function Toolbar({ history, drawing, hidden, outside, onCommand }: Props) {
  const tool = (
    name: string,
    keys: string,
    command: Command,
    icon: ReactNode,
    extra: { pressed?: boolean; disabled?: boolean } = {},
  ) => (
    <button
      className={extra.pressed ? "tool on" : "tool"}
      aria-label={name}
      title={`${name} (${keys})`}
      data-testid={`tool-${command.type}`}
      disabled={extra.disabled ?? false}
      {...(extra.pressed === undefined ? {} : { "aria-pressed": extra.pressed })}
      onMouseDown={(event) => event.preventDefault()}
      onClick={() => onCommand(command)}
    >
      <svg viewBox="0 0 20 20" aria-hidden="true">
        {icon}
      </svg>
    </button>
  );
  return (
    <div className="toolbar" role="toolbar" aria-label="Image">
      {tool(
        "Draw",
        "N",
        drawing ? { type: "escape" } : { type: "draw" },
        <path d="M4 6h9M4 6v9h9V6M16.500 3v6M13.500 6h6" transform="translate(-1 1)" />,
        { pressed: drawing },
      )}
      <span className="gap" />
      {tool(
        "Undo",
        "Ctrl Z",
        { type: "undo" },
        <path d="M7.500 4 4 7.500 7.500 11M4 7.500h7.500a4.250 4.250 0 0 1 0 8.500H8" />,
        { disabled: history.past.length === 0 },
      )}
      {tool(
        "Redo",
        "Ctrl Shift Z",
        { type: "redo" },
        <path d="M12.500 4 16 7.500 12.500 11M16 7.500H8.500a4.250 4.250 0 0 0 0 8.500H12" />,
        { disabled: history.future.length === 0 },
      )}
      <span className="gap" />
      {outside !== null && (
        <>
          {tool(
            "Follow the shape, or set it here",
            "K",
            { type: "key-frame" },
            <path d="m10 3.500 6.500 6.500-6.500 6.500-6.500-6.500Z" />,
          )}
          {tool(
            "Outside: not to be seen from here to its next key frame",
            "O",
            { type: "outside" },
            <path d="M3.500 7V3.500H7M9 3.500h3M3.500 9v3M3.500 14v2.500H7M9 16.500h3M8.500 10h8.500M14 7l3 3-3 3" />,
            { pressed: outside },
          )}
          <span className="gap" />
        </>
      )}
      {tool(
        "Hide the shapes",
        "H",
        { type: "hide" },
        <path d="M2.500 10c2-3.500 4.500-5 7.500-5s5.500 1.500 7.500 5c-2 3.500-4.500 5-7.500 5s-5.500-1.500-7.500-5ZM10 7.500a2.500 2.500 0 1 0 0 5 2.500 2.500 0 0 0 0-5Z" />,
        { pressed: hidden },
      )}
      {tool("Zoom out", "−", { type: "zoom", factor: 1 / ZOOM_STEP }, <path d="M5 10h10" />)}
      {tool(
        "Fit the image",
        "F",
        { type: "fit" },
        <path d="M3.500 7.500v-4h4M12.500 3.500h4v4M16.500 12.500v4h-4M7.500 16.500h-4v-4" />,
      )}
      {tool("Zoom in", "+", { type: "zoom", factor: ZOOM_STEP }, <path d="M5 10h10M10 5v10" />)}
      <span className="gap" />
      {tool(
        "Keys and help",
        "?",
        { type: "help" },
        <path d="M7.300 7.500a2.700 2.700 0 1 1 4 2.400c-.9.500-1.300 1-1.300 2.100M10 15.200v.1" />,
      )}
    </div>
  );
}
