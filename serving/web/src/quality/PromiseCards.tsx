import { useState } from "react";
import { ProblemError, describe } from "../api/problem";
import type { Guarantee, Project, Promised } from "../api/types";
import { acting, closing } from "../app/act";
import { Confirm, Reason, isReason } from "../app/Asking";
import { Card, Tile } from "../app/Card";
import { Dialog } from "../app/Dialog";
import { Fetched } from "../app/Fetched";
import { useAsked } from "../app/asked";
import { counted, exactly, money } from "../app/figures";
import { count, moment, percent } from "../app/format";
import type { ViewProps } from "../app/view";
import { GuaranteeCurveCard } from "./GuaranteeCurveCard";
import { GroupTable } from "./GroupTable";
import { PromiseDialog } from "./PromiseDialog";
import { ThresholdHistory } from "./ThresholdHistory";
import { acceptAlarm, changePromises, guarantee } from "./calls";
import { BASES, PHASES, capacityInWords, groupInWords, hours, promiseInWords, savedInWords, unseenInWords } from "./quality";

const REFRESH_MS = 30_000;

type Props = Pick<ViewProps, "api" | "project" | "notify">;

/** What an operator is about to do. place: of a promise. */
type Doing =
  | { readonly what: "accept" }
  | { readonly what: "promise"; readonly place: number | null; readonly policy: Project["policy"] }
  | { readonly what: "take-back"; readonly place: number };

type Status = Guarantee | { readonly nothing: { readonly detail: string; readonly hint: string } };

/** What is promised, what keeps it and what it asks of people; of a project without a promise how to make one. */
export function PromiseCards({ api, project: { id: project, recipe }, notify }: Props) {
  const asked = useAsked<Status>(() => guarantee(api, project).catch(nothingPromised), project, REFRESH_MS);
  const [doing, setDoing] = useState<Doing | null>(null);
  const status = asked.value !== null && "phase" in asked.value ? asked.value : null;
  const promises = status?.rules.promises ?? [];
  const done = () => setDoing(null);
  const act = acting(notify, asked.refresh);

  const accept = (reason: string) =>
    closing(notify, asked.refresh, done)(
      acceptAlarm(api, project, reason),
      "The alarm is over",
      "Promises are watched anew from now on.",
    );
  /** With the policy of now: what the page began with may be old. */
  const promise = (place: number | null) =>
    void api.project(project).then(
      ({ policy }) => setDoing({ what: "promise", place, policy }),
      (error: unknown) => notify({ tone: "error", ...describe(error) }),
    );
  const promised = () => {
    done();
    const detail = "Thresholds are made in the background, some seconds from now.";
    void act(Promise.resolve(), "It is promised", detail);
  };
  const takeBack = (place: number) => {
    done();
    const left = promises.filter((_, at) => at !== place);
    void act(
      changePromises(api, project, promises, { guarantee: { promises: left } }),
      `Promise ${place + 1} is taken back`,
      left.length === 0 ? "The policy's threshold routes again." : "The others hold on.",
    );
  };

  return (
    <>
      <Card
        title="Promises"
        testid="promises"
        aside={
          <>
            {status && (
              <span className={`badge ${PHASES[status.phase].tone}`} data-testid="phase">
                {status.phase}
              </span>
            )}
            {status?.unmet && <span className="badge bad">not kept</span>}
            <span className="grow" />
            {asked.value !== null && (
              <button data-testid="make-promise" onClick={() => promise(null)}>
                Make a promise
              </button>
            )}
          </>
        }
      >
        <Fetched asked={asked} what="the promises">
          {(found) =>
            "phase" in found ? (
              <Promises status={found} onDo={setDoing} onChange={promise} />
            ) : (
              <p className="muted" data-testid="nothing-promised">
                {found.nothing.detail} A promise says how much of what passes without a person may be wrong, and its
                thresholds are found from people’s answers: make one here, or with{" "}
                <code>askance guarantee promise --alpha 0.05</code>.
              </p>
            )
          }
        </Fetched>
      </Card>
      {status && (
        <>
          <GuaranteeCurveCard api={api} project={project} promises={promises} />
          <ThresholdHistory api={api} project={project} />
        </>
      )}
      {doing?.what === "accept" && <AcceptDialog onClose={done} onAccept={accept} />}
      {doing?.what === "promise" && (
        <PromiseDialog
          api={api}
          project={project}
          labels={recipe.labels}
          promises={doing.policy.guarantee.promises}
          place={doing.place}
          auditRate={doing.policy.audit_rate}
          onDone={promised}
          onClose={done}
        />
      )}
      {doing?.what === "take-back" && (
        <TakeBackDialog promises={promises} place={doing.place} onClose={done} onTakeBack={takeBack} />
      )}
    </>
  );
}

interface PromisesProps {
  readonly status: Guarantee;
  readonly onDo: (doing: Doing) => void;
  readonly onChange: (place: number) => void;
}

function Promises({ status, onDo, onChange }: PromisesProps) {
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
          <button data-testid="accept-alarm" onClick={() => onDo({ what: "accept" })}>
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
            )}{" "}
            <span className="promise-acts">
              <button className="small" data-testid={`change-promise-${number + 1}`} onClick={() => onChange(number)}>
                Change
              </button>
              <button
                className="small"
                data-testid={`take-back-promise-${number + 1}`}
                onClick={() => onDo({ what: "take-back", place: number })}
              >
                Take back
              </button>
            </span>
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
  const { words, short } = capacityInWords(capacity);
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
        value={words}
        testid="capacity"
        detail={
          <>
            {short && <span className="badge bad">too little</span>}{" "}
            {counted(capacity.queue, "task waits", "tasks wait")}
            {capacity.queue_hours !== null && `, ${hours(capacity.queue_hours)} of work`}
            {capacity.hours_for_queue ? `; ${hours(capacity.hours_for_queue)} a day go to them` : null}
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

function AcceptDialog(props: { readonly onClose: () => void; readonly onAccept: (reason: string) => Promise<void> }) {
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

interface TakeBackProps {
  readonly promises: readonly Promised[];
  readonly place: number;
  readonly onClose: () => void;
  readonly onTakeBack: (place: number) => void;
}

function TakeBackDialog({ promises, place, onClose, onTakeBack }: TakeBackProps) {
  const promise = promises[place];
  return (
    <Dialog
      title={`Take promise ${place + 1} back`}
      onClose={onClose}
      onSubmit={() => onTakeBack(place)}
      testid="take-back-dialog"
    >
      {promise && <p>{promiseInWords(promise)}.</p>}
      <p className="muted">
        {promises.length > 1
          ? "The others hold on, and share what may be wrong among fewer."
          : "Nothing is promised then: the policy's threshold routes again."}
      </p>
      <Confirm name="Take it back" disabled={!promise} onClose={onClose} />
    </Dialog>
  );
}

/** A project that promises nothing is no failure: its policy's threshold routes. */
function nothingPromised(error: unknown): Status {
  if (!(error instanceof ProblemError) || error.code !== "invalid") throw error;
  return { nothing: error.problem };
}
