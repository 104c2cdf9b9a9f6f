import type { Hand } from "./hand";
import type { Shape } from "./shapes";

interface Props {
  readonly hand: Hand;
  /** The label that is drawn. */
  readonly label: string;
  readonly hidden: boolean;
  /** What Enter would link to. */
  readonly candidate: Shape | null;
}

/** Over the image: what the next click or Enter does, where it is not the usual. */
export function HandHint({ hand, label, hidden, candidate }: Props) {
  if (hidden) {
    return (
      <div className="hint" role="status">
        Shapes are hidden · <kbd>H</kbd> shows them
      </div>
    );
  }
  switch (hand.tool) {
    case "choose":
      return null;
    case "link":
      return (
        <div className="hint" role="status" data-testid="linking">
          Link <strong>{hand.type}</strong>: click the other shape, or <kbd>Tab</kbd> and <kbd>Enter</kbd>
          {candidate && ` for this ${candidate.label}`} · <kbd>Esc</kbd> to stop
        </div>
      );
    case "draw":
      return (
        <div className="hint" role="status">
          Drawing <strong>{label}</strong>:{" "}
          {hand.path && hand.path.points.length > 0 ? (
            <>
              <kbd>Enter</kbd> or a double click ends it, <kbd>⌫</kbd> takes a point back
            </>
          ) : (
            <>
              {hand.path ? "click point by point" : "on the image"}, or <kbd>Enter</kbd> for one in the middle
            </>
          )}{" "}
          · <kbd>Esc</kbd> to stop
        </div>
      );
  }
}
