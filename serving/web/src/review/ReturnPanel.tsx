import { type FormEvent, type Ref, useState } from "react";
import type { Returning, ReturningStep } from "./returning";
import type { Shape } from "./shapes";

interface Props {
  readonly issues: Returning;
  readonly shapes: readonly Shape[];
  /** Ids of the selected shapes, to which the next issue is pinned. */
  readonly chosen: readonly string[];
  readonly note: string;
  readonly field: Ref<HTMLInputElement>;
  readonly onStep: (step: ReturningStep) => void;
  readonly onSelect: (shape: string) => void;
  readonly onLeave: () => void;
}

/** Somebody's answer is looked at: what is to be mended, each pinned to shapes. */
export function ReturnPanel({ issues, shapes, chosen, note, field, onStep, onSelect, onLeave }: Props) {
  const [message, setMessage] = useState("");
  const pin = (event: FormEvent) => {
    event.preventDefault();
    onStep({ type: "pin", message, shapes: chosen });
    setMessage("");
    onLeave();
  };
  const named = (ids: readonly string[]): string =>
    ids.map((id) => shapes.find((shape) => shape.id === id)?.label ?? "gone").join(", ");
  return (
    <section className="panel" aria-label="Check of an answer" data-testid="qa">
      <h2>
        Check this answer <span className="muted">somebody gave it</span>
      </h2>
      {note && <p className="muted small">Their note: “{note}”</p>}
      <ul className="matters">
        {issues.map((issue, index) => (
          <li key={`${index} ${issue.message}`} className="row">
            <button className="matter grow" onClick={() => issue.shapes[0] !== undefined && onSelect(issue.shapes[0])}>
              <span className="text">
                {issue.message}
                {issue.shapes.length > 0 && <span className="muted"> · {named(issue.shapes)}</span>}
              </span>
            </button>
            <button
              className="icon"
              aria-label={`Remove the issue ${issue.message}`}
              onClick={() => onStep({ type: "drop", index })}
            >
              ✕
            </button>
          </li>
        ))}
      </ul>
      <form className="row" onSubmit={pin}>
        <input
          ref={field}
          data-testid="return-issue"
          aria-label="What is to be mended"
          placeholder={chosen.length > 0 ? `About ${named(chosen)}  R` : "What is to be mended  R"}
          maxLength={1000}
          value={message}
          onChange={(event) => setMessage(event.target.value)}
          onKeyDown={(event) => event.key === "Escape" && onLeave()}
        />
        <button disabled={message.trim() === ""}>Add</button>
      </form>
    </section>
  );
}
