import { PinSign } from "./PinSign";
import type { Matter } from "./matters";

interface Props {
  readonly matters: readonly Matter[];
  readonly selected: string | null;
  /** Whether the shapes changed since they were looked at. */
  readonly checking: boolean;
  readonly onSelect: (shape: string) => void;
}

/** What asks for a look; a click, or J, goes to the shape. */
export function MattersPanel({ matters, selected, checking, onSelect }: Props) {
  if (matters.length === 0) return null;
  const errors = matters.filter((matter) => matter.kind === "error").length;
  return (
    <section className="panel" aria-label="Issues" data-testid="matters">
      <h2>
        To look at
        <span className="muted">
          {checking ? "checking…" : errors > 0 ? `${errors} to mend` : matters.length} <kbd>J</kbd>
        </span>
      </h2>
      <ul className="matters" aria-live="polite">
        {matters.map((matter) => {
          const [shape] = matter.shapes;
          return (
            <li key={matter.key}>
              <button
                className={selected !== null && matter.shapes.includes(selected) ? "matter current" : "matter"}
                data-testid={`matter-${matter.kind}`}
                disabled={shape === undefined}
                onClick={() => shape !== undefined && onSelect(shape)}
              >
                <PinSign kind={matter.kind} />
                <span className="text">{matter.message}</span>
              </button>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
