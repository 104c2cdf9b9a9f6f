import type { CustomFunction } from "../api/types";

interface Props {
  readonly functions: readonly CustomFunction[];
  /** How many shapes are selected. */
  readonly chosen: number;
  /** The name of the one that is at work. */
  readonly running: string | null;
  readonly messages: readonly string[];
  readonly onAct: (name: string) => void;
}

/** What this project does with shapes by functions of its own. Each is one step that can be undone. */
export function FunctionsPanel({ functions, chosen, running, messages, onAct }: Props) {
  if (functions.length === 0) return null;
  return (
    <section className="panel" aria-label="Functions" data-testid="functions">
      <h2>
        Functions <span className="muted">{chosen > 0 ? `${chosen} selected` : "all shapes"}</span>
      </h2>
      <div className="choices">
        {functions.map((one) => (
          <button
            key={one.name}
            data-testid={`function-${one.name}`}
            title={one.description}
            disabled={running !== null || (one.needs_selection && chosen === 0)}
            onMouseDown={(event) => event.preventDefault()}
            onClick={() => onAct(one.name)}
          >
            {running === one.name ? "Working…" : one.label} {one.key && <kbd>{one.key.toUpperCase()}</kbd>}
          </button>
        ))}
      </div>
      <div role="status">
        {messages.map((message) => (
          <p key={message} className="muted small">
            {message}
          </p>
        ))}
      </div>
    </section>
  );
}
