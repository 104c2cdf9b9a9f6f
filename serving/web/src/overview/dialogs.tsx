/** What an operator is asked before something changes. */
import { useState } from "react";
import type { CycleBody } from "../api/types";
import { Confirm, Reason, isReason } from "../app/Asking";
import { Dialog } from "../app/Dialog";
import { Clauses } from "./Clauses";
import type { Clause } from "./decision";

interface StartProps {
  readonly onStart: (body: CycleBody) => Promise<void>;
  readonly onClose: () => void;
}

export function StartCycleDialog({ onStart, onClose }: StartProps) {
  const [reason, setReason] = useState("");
  const [epochs, setEpochs] = useState("");
  const [mode, setMode] = useState<"" | "superior" | "non_inferior">("");
  const [canary, setCanary] = useState<"" | "yes" | "no">("");
  const [from, setFrom] = useState<"" | "champion" | "scratch">("");
  const [recheck, setRecheck] = useState("");
  const start = () =>
    onStart({
      ...(reason.trim() === "" ? {} : { reason: reason.trim() }),
      ...(epochs === "" ? {} : { epochs: Number(epochs) }),
      ...(mode === "" ? {} : { mode }),
      ...(canary === "" ? {} : { canary: canary === "yes" }),
      ...(from === "" ? {} : { start: from }),
      ...(recheck === "" ? {} : { recheck: Number(recheck) }),
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
          <span>It begins with</span>
          <select
            data-testid="cycle-from"
            value={from}
            onChange={(event) => setFrom(event.target.value as typeof from)}
          >
            <option value="">as configured</option>
            <option value="champion">the champion’s weights</option>
            <option value="scratch">fresh weights (from scratch)</option>
          </select>
        </label>
        <label className="field">
          <span>Doubtful items looked at again</span>
          <input
            data-testid="cycle-recheck"
            type="number"
            min={0}
            max={1000}
            step={1}
            placeholder="as the policy says"
            value={recheck}
            onChange={(event) => setRecheck(event.target.value)}
          />
        </label>
        <label className="field">
          <span>Epochs</span>
          <input
            data-testid="cycle-epochs"
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
      <label className="field">
        <span>What passes the gate</span>
        <select
          data-testid="cycle-canary"
          value={canary}
          onChange={(event) => setCanary(event.target.value as typeof canary)}
        >
          <option value="">as configured</option>
          <option value="no">becomes the champion</option>
          <option value="yes">is a canary first, judged by people’s answers</option>
        </select>
      </label>
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

interface CancelProps {
  readonly cycle: string;
  readonly onCancel: (reason: string) => Promise<void>;
  readonly onClose: () => void;
}

export function CancelCycleDialog({ cycle, onCancel, onClose }: CancelProps) {
  const [reason, setReason] = useState("");
  return (
    <Dialog
      title="Cancel this cycle"
      onClose={onClose}
      onSubmit={() => isReason(reason) && onCancel(reason.trim())}
      testid="cancel-cycle-dialog"
    >
      <p>
        <code>{cycle}</code> ends as failed, and what it has trained so far is lost. The champion stays.
      </p>
      <Reason value={reason} onChange={setReason} />
      <Confirm name="Cancel the cycle" disabled={!isReason(reason)} onClose={onClose} />
    </Dialog>
  );
}

interface PromoteProps {
  readonly model: string;
  /** What its cycle's gate refused it for; null where it did not. */
  readonly refusedFor: readonly Clause[] | null;
  readonly onPromote: (reason: string) => Promise<void>;
  readonly onClose: () => void;
}

export function PromoteDialog({ model, refusedFor, onPromote, onClose }: PromoteProps) {
  const [reason, setReason] = useState("");
  return (
    <Dialog title="Promote by hand" onClose={onClose} onSubmit={() => onPromote(reason.trim())} testid="promote-dialog">
      <p>
        <code>{model}</code> becomes champion whatever the gate said.
      </p>
      {refusedFor && (
        <div className="callout warn" data-testid="gate-refused">
          <strong>The gate refused it</strong>
          <Clauses clauses={refusedFor} />
          <p>You overrule that in your name.</p>
        </div>
      )}
      <Reason value={reason} onChange={setReason} />
      <Confirm name="Promote" disabled={!isReason(reason)} onClose={onClose} />
    </Dialog>
  );
}

interface RollbackProps {
  readonly to: string | null;
  readonly onRollback: (reason: string) => Promise<void>;
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
      <Confirm name="Roll back" disabled={!isReason(reason)} onClose={onClose} />
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
