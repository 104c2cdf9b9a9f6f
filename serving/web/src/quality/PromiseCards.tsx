import { useState } from "react";
import { ProblemError } from "../api/problem";
import type { Guarantee } from "../api/types";
import { acting } from "../app/act";
import { Confirm, Reason, isReason } from "../app/Asking";
import { Card, Tile } from "../app/Card";
import { Dialog } from "../app/Dialog";
import { Fetched } from "../app/Fetched";
import { useAsked } from "../app/asked";
import { counted, exactly, moment, money } from "../app/figures";
import { count, percent } from "../app/format";
import type { ViewProps } from "../app/view";
import { GuaranteeCurveCard } from "./GuaranteeCurveCard";
import { GroupTable } from "./GroupTable";
import { ThresholdHistory } from "./ThresholdHistory";
import { acceptAlarm, guarantee } from "./calls";
import { BASES, PHASES, groupInWords, hours, promiseInWords, savedInWords, unseenInWords } from "./quality";

const REFRESH_MS = 30_000;

interface Props extends Pick<ViewProps, "api" | "notify"> {
  readonly project: string;
}

type Status = Guarantee | { readonly nothing: { readonly detail: string; readonly hint: string } };

/** What is promised, what keeps it and what it asks of people; of a project without a promise how to make one. */
export function PromiseCards({ api, project, notify }: Props) {
  const asked = useAsked<Status>(() => guarantee(api, project).catch(nothingPromised), project, REFRESH_MS);
  const [accepting, setAccepting] = useState(false);
  const status = asked.value !== null && "phase" in asked.value ? asked.value : null;

  const accept = (reason: string) => {
    setAccepting(false);
    void acting(notify, asked.refresh)(
      acceptAlarm(api, project, reason),
      "The alarm is over",
      "Promises are watched anew from now on.",
    );
  };

  return (
    <>
      <Card
        title="Promises"
        testid="promises"
        aside={
          status && (
            <>
              <span className={`badge ${PHASES[status.phase].tone}`} data-testid="phase">
                {status.phase}
              </span>
              {status.unmet && <span className="badge bad">not kept</span>}
            </>
          )
        }
      >
        <Fetched asked={asked} what="the promises">
          {(found) =>
            "phase" in found ? (
              <Promises status={found} onAccept={() => setAccepting(true)} />
            ) : (
              <p className="muted" data-testid="nothing-promised">
                {found.nothing.detail} {found.nothing.hint}
              </p>
            )
          }
        </Fetched>
      </Card>
      {status && (
        <>
          <GuaranteeCurveCard api={api} project={project} promises={status.rules.promises} />
          <ThresholdHistory api={api} project={project} />
        </>
      )}
      {accepting && <AcceptDialog onClose={() => setAccepting(false)} onAccept={accept} />}
    </>
  );
}

function Promises({ status, onAccept }: { readonly status: Guarantee; readonly onAccept: () => void }) {
  const { phase, rules, thresholds, waits_for: waitsFor, fewest, audit_rate: auditRate } = status;
  const stopped = thresholds?.alarm != null && rules.on_alarm === "review";
  return (
    <>
      {thresholds?.alarm && (
        <div className="callout error" role="alert" data-testid="alarm">
          <strong>
            Promise {thresholds.alarm.promise} is broken: {groupInWords(thresholds.alarm.group)}
          </strong>
          <p>
            Of what passed since {moment(thresholds.alarm.since)}, {count(thresholds.alarm.seen)} audits say that{" "}
            {percent(thresholds.alarm.rate, 1)} fails and passes. Found {moment(thresholds.alarm.found_at)}.{" "}
            {stopped ? "People look at everything until it is over." : "Routing goes on."}
          </p>
          <button data-testid="accept-alarm" onClick={onAccept}>
            Accept the alarm
          </button>
        </div>
      )}
      {!stopped && <p>{PHASES[phase].words}</p>}
      {waitsFor && (
        <p className="muted" data-testid="waits-for">
          Missing: {waitsFor}
        </p>
      )}
      <ol className="promises">
        {rules.promises.map((promise, number) => (
          <li key={number}>
            {promiseInWords(promise)}.{" "}
            {fewest[number] !== undefined && (
              <span className="muted small">
                Takes {count(fewest[number])} answers without a failure until anything may pass.
              </span>
            )}
          </li>
        ))}
      </ol>
      <Tiles status={status} />
      {thresholds === null ? (
        <p className="muted">
          There are no thresholds yet. They are made in the background, some seconds after a change.
        </p>
      ) : (
        <>
          {thresholds.groups.length > 0 && <GroupTable thresholds={thresholds} />}
          <p className="muted small">
            Thresholds {thresholds.version} of {moment(thresholds.created_at)}, by {count(thresholds.answered)} answers
            to {count(thresholds.size)} predictions from {moment(thresholds.window_from)} to{" "}
            {moment(thresholds.window_until)} ({BASES[thresholds.basis]}). {unseenInWords(thresholds)} Audits are drawn
            with {exactly(auditRate)}.
          </p>
        </>
      )}
    </>
  );
}

function Tiles({ status: { thresholds, capacity, economics, currency } }: { readonly status: Guarantee }) {
  return (
    <div className="tiles">
      {thresholds && (
        <Tile
          name="Passes without a person"
          value={percent(thresholds.automation)}
          testid="automation"
          detail={`people get ${percent(thresholds.review_share)}, with audits`}
        />
      )}
      <Tile
        name="Reviewers' time a day"
        value={`needs ${hours(capacity.hours_needed)}, have ${hours(capacity.hours_had)}`}
        testid="capacity"
        detail={
          <>
            {capacity.short && <span className="badge bad">too little</span>}{" "}
            {counted(capacity.queue, "task waits", "tasks wait")}
            {capacity.queue_hours !== null && `, ${hours(capacity.queue_hours)} of work`}
          </>
        }
      />
      {economics && (
        <Tile
          name="Cost of 1,000 predictions"
          value={money(economics.cost, currency)}
          testid="economics"
          detail={
            <>
              reviews {money(economics.reviews, currency)}, errors {money(economics.errors, currency)};{" "}
              {savedInWords(economics.saved, currency)}
            </>
          }
        />
      )}
      {thresholds?.relaxed != null && (
        <Tile
          name="Relaxed to"
          value={thresholds.relaxed.toFixed(3)}
          detail="passes below that risk in spite of the promises, since people cannot do more"
        />
      )}
    </div>
  );
}

function AcceptDialog(props: { readonly onClose: () => void; readonly onAccept: (reason: string) => void }) {
  const [reason, setReason] = useState("");
  const { onClose, onAccept } = props;
  return (
    <Dialog
      title="Accept the alarm"
      onClose={onClose}
      onSubmit={() => isReason(reason) && onAccept(reason.trim())}
      testid="accept-alarm-dialog"
    >
      <p>
        What fails did pass more often than was promised. If you say that it is over, predictions pass again as the
        thresholds let them, and the promises are watched anew from now on.
      </p>
      <Reason value={reason} onChange={setReason} />
      <Confirm name="It is over" disabled={!isReason(reason)} onClose={onClose} />
    </Dialog>
  );
}

/** A project that promises nothing is no failure: its policy's threshold routes. */
function nothingPromised(error: unknown): Status {
  if (!(error instanceof ProblemError) || error.code !== "invalid") throw error;
  return { nothing: error.problem };
}
