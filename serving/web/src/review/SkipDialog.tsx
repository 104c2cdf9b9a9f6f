import { type KeyboardEvent, useState } from "react";
import { Dialog } from "../app/Dialog";

const REASONS = ["The image cannot be read", "I cannot tell which label is right", "The guidelines do not cover this"];

interface Props {
  readonly onSkip: (reason: string) => void;
  readonly onClose: () => void;
}

/** Asks why: a chosen reason (keys 1 to 3) or words of one's own. */
export function SkipDialog({ onSkip, onClose }: Props) {
  const [reason, setReason] = useState("");
  const send = () => reason.trim() !== "" && onSkip(reason);
  const onKeyDown = (event: KeyboardEvent<HTMLInputElement>) => {
    const chosen = REASONS[Number(event.key) - 1];
    if (reason !== "" || !chosen) return;
    event.preventDefault();
    setReason(chosen);
  };
  return (
    <Dialog title="Skip this image" onClose={onClose} onSubmit={send} testid="skip-dialog">
      <p className="muted">The reason helps whoever looks at it next.</p>
      <div className="reasons">
        {REASONS.map((text, index) => (
          <button
            key={text}
            type="button"
            className={reason === text ? "reason current" : "reason"}
            aria-pressed={reason === text}
            onClick={() => setReason(text)}
            onDoubleClick={() => onSkip(text)}
          >
            <kbd>{index + 1}</kbd> {text}
          </button>
        ))}
      </div>
      <label className="field">
        <span>Reason</span>
        <input
          data-testid="skip-reason"
          data-first
          maxLength={1000}
          placeholder="In your own words, or choose above"
          value={reason}
          onChange={(event) => setReason(event.target.value)}
          onKeyDown={onKeyDown}
        />
      </label>
      <footer>
        <button type="button" onClick={onClose}>
          Back
        </button>
        <button className="primary" data-testid="skip-confirm" disabled={reason.trim() === ""}>
          Skip <kbd>Enter</kbd>
        </button>
      </footer>
    </Dialog>
  );
}
