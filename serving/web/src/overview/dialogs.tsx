/** What an operator is asked before something changes. */
import { useState } from "react";
import type { CycleBody } from "../api/types";
import { Dialog } from "../app/Dialog";

const LEAST_REASON = 3; // characters, as the API demands

interface StartProps {
  readonly onStart: (body: CycleBody) => void;
  readonly onClose: () => void;
}

export function StartCycleDialog({ onStart, onClose }: StartProps) {
  const [reason, setReason] = useState("");
  const [epochs, setEpochs] = useState("");
  const [mode, setMode] = useState<"" | "superior" | "non_inferior">("");
  const start = () =>
    onStart({
      ...(reason.trim() === "" ? {} : { reason: reason.trim() }),
      ...(epochs === "" ? {} : { epochs: Number(epochs) }),
      ...(mode === "" ? {} : { mode }),
    });
  return (
    <Dialog title="Start a cycle" onClose={onClose} onSubmit={start} testid="start-cycle-dialog">
      <p className="muted">
        Freezes what people have answered, trains, compares with the champion, and promotes only what is better.
      </p>
      <label className="field">
        <span>Why now (kept with the cycle)</span>
        <input
          data-first
          maxLength={1000}
          placeholder="asked for"
          value={reason}
          onChange={(event) => setReason(event.target.value)}
        />
      </label>
      <div className="pair">
        <label className="field">
          <span>Epochs</span>
          <input
            type="number"
            min={1}
            max={1000}
            step={1}
            placeholder="as configured"
            value={epochs}
            onChange={(event) => setEpochs(event.target.value)}
          />
        </label>
        <label className="field">
          <span>The candidate must be</span>
          <select value={mode} onChange={(event) => setMode(event.target.value as typeof mode)}>
            <option value="">as configured</option>
            <option value="superior">better (superior)</option>
            <option value="non_inferior">not worse (non-inferior)</option>
          </select>
        </label>
      </div>
      <footer>
        <button type="button" onClick={onClose}>
          Back
        </button>
        <button className="primary" data-testid="start-cycle-confirm">
          Start
        </button>
      </footer>
    </Dialog>
  );
}

interface PromoteProps {
  readonly model: string;
  readonly onPromote: (reason: string) => void;
  readonly onClose: () => void;
}

export function PromoteDialog({ model, onPromote, onClose }: PromoteProps) {
  const [reason, setReason] = useState("");
  return (
    <Dialog title="Promote by hand" onClose={onClose} onSubmit={() => onPromote(reason.trim())} testid="promote-dialog">
      <p>
        <code>{model}</code> becomes champion whatever the gate said.
      </p>
      <Reason value={reason} onChange={setReason} />
      <Confirm name="Promote" disabled={reason.trim().length < LEAST_REASON} onClose={onClose} />
    </Dialog>
  );
}

interface RollbackProps {
  readonly to: string | null;
  readonly onRollback: (reason: string) => void;
  readonly onClose: () => void;
}

export function RollbackDialog({ to, onRollback, onClose }: RollbackProps) {
  const [reason, setReason] = useState("");
  return (
    <Dialog title="Roll back" onClose={onClose} onSubmit={() => onRollback(reason.trim())} testid="rollback-dialog">
      <p>
        The champion before the present one serves again
        {to && (
          <>
            : <code>{to}</code>
          </>
        )}
        . No request fails meanwhile.
      </p>
      <Reason value={reason} onChange={setReason} />
      <Confirm name="Roll back" disabled={reason.trim().length < LEAST_REASON} onClose={onClose} />
    </Dialog>
  );
}

interface AcceptDriftProps {
  readonly onAccept: () => void;
  readonly onClose: () => void;
}

export function AcceptDriftDialog({ onAccept, onClose }: AcceptDriftProps) {
  return (
    <Dialog title="Accept as the new reference" onClose={onClose} onSubmit={onAccept} testid="accept-drift-dialog">
      <p>
        What production shows now is normal: its newest predictions become what later ones are compared with, and an
        alarm is over.
      </p>
      <Confirm name="Accept" disabled={false} onClose={onClose} />
    </Dialog>
  );
}

interface PauseWebhookProps {
  readonly url: string;
  readonly onPause: () => void;
  readonly onClose: () => void;
}

export function PauseWebhookDialog({ url, onPause, onClose }: PauseWebhookProps) {
  return (
    <Dialog title="Pause this webhook" onClose={onClose} onSubmit={onPause} testid="pause-webhook-dialog">
      <p>
        Nothing is sent to <code>{url}</code> until it is resumed. What waits is kept and goes out then; what happens
        meanwhile is not kept for it.
      </p>
      <Confirm name="Pause" disabled={false} onClose={onClose} />
    </Dialog>
  );
}

function Reason({ value, onChange }: { value: string; onChange: (value: string) => void }) {
  return (
    <label className="field">
      <span>Reason (kept with your name)</span>
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

function Confirm({ name, disabled, onClose }: { name: string; disabled: boolean; onClose: () => void }) {
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
