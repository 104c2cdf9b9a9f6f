/** What an operator is asked before a model runs beside the champion, is promoted, or is taken back. */
import { useState } from "react";
import type { Model, Rollout, RolloutBody, RolloutKind } from "../api/types";
import { Confirm, Reason, isReason } from "../app/Asking";
import { Dialog } from "../app/Dialog";
import { ago } from "../app/format";
import { AS_SET, type TypedRules, rulesOfTyped, shareOfTyped } from "./rollouts";

const USUAL_SHARE = "10"; // percent

interface StartProps {
  readonly models: readonly Model[];
  readonly kinds: readonly RolloutKind[];
  readonly onStart: (body: RolloutBody) => Promise<void>;
  readonly onClose: () => void;
}

/** models, kinds: at least one of each. */
export function StartRolloutDialog({ models, kinds, onStart, onClose }: StartProps) {
  const [kind, setKind] = useState<RolloutKind>(kinds[0] ?? "canary");
  const [model, setModel] = useState(models[0]?.id ?? "");
  const [typed, setTyped] = useState(USUAL_SHARE);
  const [rules, setRules] = useState(AS_SET);
  const [reason, setReason] = useState("");
  const share = shareOfTyped(typed);
  const judged = kind === "canary" && share !== 1;
  const judging = judged ? rulesOfTyped(rules) : {};
  const sound = share !== null && judging !== null && model !== "" && (reason.trim() === "" || isReason(reason));
  const start = () => {
    if (!sound) return undefined;
    return onStart({
      kind,
      model_id: model,
      share,
      ...(Object.keys(judging).length === 0 ? {} : { judging }),
      ...(reason.trim() === "" ? {} : { reason: reason.trim() }),
    });
  };
  return (
    <Dialog title="Start beside the champion" onClose={onClose} onSubmit={start} testid="start-rollout-dialog">
      <div className="pair">
        <label className="field">
          <span>As</span>
          <select
            data-testid="rollout-kind"
            value={kind}
            onChange={(event) => setKind(event.target.value as RolloutKind)}
          >
            {kinds.map((one) => (
              <option key={one} value={one}>
                {one}
              </option>
            ))}
          </select>
        </label>
        <label className="field">
          <span>Share of the predictions, %</span>
          <input
            data-first
            data-testid="rollout-share-typed"
            inputMode="decimal"
            aria-invalid={share === null}
            value={typed}
            onChange={(event) => setTyped(event.target.value)}
          />
        </label>
      </div>
      {share === null && (
        <p className="callout error" role="alert">
          Give a number above 0 and at most 100.
        </p>
      )}
      <label className="field">
        <span>Model</span>
        <select data-testid="rollout-model" value={model} onChange={(event) => setModel(event.target.value)}>
          {models.map((one) => (
            <option key={one.id} value={one.id}>
              {one.id} · {ago(one.created_at, Date.now())}
            </option>
          ))}
        </select>
      </label>
      <p className="muted" data-testid="rollout-means">
        {meaningOf(kind, share)}
      </p>
      {judged && <Judging rules={rules} onChange={setRules} />}
      {judging === null && (
        <p className="callout error" role="alert">
          Give a margin above 0 and below 100, and hours above 0, at most a year; or leave them empty.
        </p>
      )}
      <Reason value={reason} onChange={setReason} kept="kept with your name; may be left empty" />
      <Confirm name="Start" disabled={!sound} onClose={onClose} />
    </Dialog>
  );
}

interface JudgingProps {
  readonly rules: TypedRules;
  readonly onChange: (rules: TypedRules) => void;
}

function Judging({ rules, onChange }: JudgingProps) {
  return (
    <>
      <div className="pair">
        <label className="field">
          <span>It may fail more often by, %</span>
          <input
            data-testid="canary-margin"
            inputMode="decimal"
            placeholder="as configured"
            value={rules.margin}
            onChange={(event) => onChange({ ...rules, margin: event.target.value })}
          />
        </label>
        <label className="field">
          <span>Undecided after, hours</span>
          <input
            data-testid="canary-hours"
            inputMode="decimal"
            placeholder="as configured"
            value={rules.hours}
            onChange={(event) => onChange({ ...rules, hours: event.target.value })}
          />
        </label>
      </div>
      <label className="field">
        <span>When people find it not worse</span>
        <select
          data-testid="canary-on-pass"
          value={rules.onPass}
          onChange={(event) => onChange({ ...rules, onPass: event.target.value as TypedRules["onPass"] })}
        >
          <option value="">as configured</option>
          <option value="tell">it waits for a person</option>
          <option value="promote">it becomes the champion, in my name</option>
        </select>
      </label>
    </>
  );
}

function meaningOf(kind: RolloutKind, share: number | null): string {
  if (kind === "shadow") return "It looks at that share of the traffic. Callers get the champion’s answers.";
  const judged =
    share === 1
      ? "With all of the traffic there is nothing beside it to compare with: people’s answers do not judge it."
      : "It is judged by what people answer.";
  return `That share of the callers get its answers. Where it errs or is slow it is taken back. ${judged}`;
}

interface EndProps {
  readonly rollout: Rollout;
  readonly onEnd: (reason: string) => Promise<void>;
  readonly onClose: () => void;
}

export function EndRolloutDialog({ rollout, onEnd, onClose }: EndProps) {
  const [reason, setReason] = useState("");
  return (
    <Dialog
      title={`Take the ${rollout.kind} back`}
      onClose={onClose}
      onSubmit={() => isReason(reason) && onEnd(reason.trim())}
      testid="end-rollout-dialog"
    >
      <p>
        From the next request on the champion answers alone
        {rollout.cycle_id && ", and the cycle whose winner it is ends as refused"}.{" "}
        <code>{rollout.model_id}</code> stays a version that can be started again.
      </p>
      <Reason value={reason} onChange={setReason} />
      <Confirm name="Take back" disabled={!isReason(reason)} onClose={onClose} />
    </Dialog>
  );
}

interface PassProps {
  readonly rollout: Rollout;
  readonly onPass: (reason: string) => Promise<void>;
  readonly onClose: () => void;
}

export function PassRolloutDialog({ rollout, onPass, onClose }: PassProps) {
  const [reason, setReason] = useState("");
  const passed = rollout.standing?.passed_at != null;
  return (
    <Dialog
      title={`Promote the ${rollout.kind}`}
      onClose={onClose}
      onSubmit={() => isReason(reason) && onPass(reason.trim())}
      testid="pass-rollout-dialog"
    >
      <p>
        <code>{rollout.model_id}</code> becomes champion for all callers.
      </p>
      {!passed && (
        <p className="callout warn" data-testid="not-passed">
          {rollout.kind === "canary"
            ? "People’s answers have not shown yet that it is not worse. You overrule that in your name."
            : "Nothing has judged a shadow: you promote it in your name."}
        </p>
      )}
      <Reason value={reason} onChange={setReason} />
      <Confirm name="Promote" disabled={!isReason(reason)} onClose={onClose} />
    </Dialog>
  );
}
