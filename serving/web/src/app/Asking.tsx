/** The parts of dialogs that ask before something changes. */

const LEAST_REASON = 3; // characters, as the API demands of most

export const isReason = (text: string): boolean => text.trim().length >= LEAST_REASON;

interface ReasonProps {
  readonly value: string;
  readonly onChange: (value: string) => void;
  /** What becomes of it. */
  readonly kept?: string;
}

export function Reason({ value, onChange, kept = "kept with your name" }: ReasonProps) {
  return (
    <label className="field">
      <span>Reason ({kept})</span>
      <input
        data-testid="reason"
        data-first
        maxLength={1000}
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
    </label>
  );
}

interface ConfirmProps {
  readonly name: string;
  readonly disabled: boolean;
  readonly onClose: () => void;
}

export function Confirm({ name, disabled, onClose }: ConfirmProps) {
  return (
    <footer>
      <button type="button" onClick={onClose}>
        Back
      </button>
      <button className="primary" data-first data-testid="confirm" disabled={disabled}>
        {name}
      </button>
    </footer>
  );
}
