import { useState } from "react";
import type { ReviewerBody, ReviewerDetail, Standing } from "../api/types";
import { Confirm, Reason, isReason } from "../app/Asking";
import { Dialog } from "../app/Dialog";
import { JUDGING_MEANINGS, MEANINGS } from "./reviewers";

const STANDINGS: readonly Standing[] = ["new", "qualified", "warned", "paused"];

interface Props {
  readonly one: ReviewerDetail;
  readonly onChange: (body: ReviewerBody) => Promise<void>;
  readonly onClose: () => void;
}

/** A standing by hand needs a reason, since the person is told; training alone needs none. */
export function StandingDialog({ one, onChange, onClose }: Props) {
  const [standing, setStanding] = useState<Standing>(one.standing);
  const [judging, setJudging] = useState<Standing>(one.judging.standing);
  const [reason, setReason] = useState("");
  const [training, setTraining] = useState<"" | "yes" | "no" | "project">("");
  const answers = standing !== one.standing;
  const judges = judging !== one.judging.standing;
  const moved = answers || judges;
  const ready = moved ? isReason(reason) : training !== "";
  const change = () =>
    ready &&
    onChange({
      ...(answers ? { standing } : {}),
      ...(judges ? { judging } : {}),
      ...(moved ? { reason: reason.trim() } : {}),
      ...(training === "" ? {} : { training: training === "project" ? null : training === "yes" }),
    });
  return (
    <Dialog title={`Change ${one.name}`} onClose={onClose} onSubmit={change} testid="standing-dialog">
      <label className="field">
        <span>Standing</span>
        <select
          data-testid="new-standing"
          data-first
          value={standing}
          onChange={(event) => setStanding(event.target.value as Standing)}
        >
          {STANDINGS.map((name) => (
            <option key={name} value={name}>
              {name === one.standing ? `${name} (as now)` : name}
            </option>
          ))}
        </select>
      </label>
      <p className="muted">{MEANINGS[standing]}. Golden items go on from there.</p>
      <label className="field">
        <span>As judge of the answers of others</span>
        <select
          data-testid="new-judging"
          value={judging}
          onChange={(event) => setJudging(event.target.value as Standing)}
        >
          {STANDINGS.map((name) => (
            <option key={name} value={name}>
              {name === one.judging.standing ? `${name} (as now)` : name}
            </option>
          ))}
        </select>
      </label>
      <p className="muted">{JUDGING_MEANINGS[judging]}.</p>
      {moved && <Reason value={reason} onChange={setReason} kept="kept with your name; the person is told" />}
      <label className="field">
        <span>Trusted answers after golden items (training)</span>
        <select value={training} onChange={(event) => setTraining(event.target.value as typeof training)}>
          <option value="">as now ({one.training ? "shown" : "not shown"})</option>
          <option value="yes">shown</option>
          <option value="no">not shown</option>
          <option value="project">as the project says</option>
        </select>
      </label>
      <Confirm name="Change" disabled={!ready} onClose={onClose} />
    </Dialog>
  );
}
