import type { Cycle } from "../api/types";
import { fixed, signed } from "../app/figures";
import { ago, percent } from "../app/format";
import { Clauses } from "./Clauses";
import { type Figure, figuresOf, verdictOf } from "./decision";

const STEPS = ["snapshot", "train", "evaluate", "gate", "promote"] as const;

interface Props {
  readonly cycle: Cycle | null;
  readonly now: number;
  /** Null for who may not. */
  readonly operate: {
    readonly onStart: () => void;
    /** Whether there is ground truth to train on. */
    readonly trainable: boolean;
    readonly onCancel: (cycle: string) => void;
    readonly onReport: (cycle: string) => void;
    readonly hrefOf: (cycle: string) => string;
  } | null;
}

export function CycleCard({ cycle, now, operate }: Props) {
  const running = cycle !== null && cycle.finished_at === null;
  return (
    <section className="card" aria-label="Newest cycle" data-testid="cycle">
      <header>
        <h2>Newest cycle</h2>
        {cycle && <StateBadge state={cycle.state} />}
        <span className="grow" />
        {operate && cycle !== null && "candidate" in (cycle.evaluation ?? {}) && (
          <>
            <a data-testid="open-cycle" href={operate.hrefOf(cycle.id)}>
              All figures
            </a>
            <button data-testid="cycle-report" onClick={() => operate.onReport(cycle.id)}>
              Report
            </button>
          </>
        )}
        {operate && running && (
          <button data-testid="cancel-cycle" onClick={() => operate.onCancel(cycle.id)}>
            Cancel it
          </button>
        )}
        {operate && (
          <button className="primary" data-testid="start-cycle" disabled={running || !operate.trainable} onClick={operate.onStart}>
            Start a cycle
          </button>
        )}
      </header>
      {cycle ? (
        <Body cycle={cycle} now={now} />
      ) : (
        <p className="muted">
          No cycle yet. A cycle trains on what people corrected and promotes the result if it is better.
        </p>
      )}
      {operate && !operate.trainable && (
        <p className="muted" data-testid="untrainable">
          There is nothing to train on yet: answers of people make it, or <code>askance import</code> brings it.
        </p>
      )}
    </section>
  );
}

function Body({ cycle, now }: { cycle: Cycle; now: number }) {
  const verdict = verdictOf(cycle.decision);
  const figures = figuresOf(cycle);
  return (
    <>
      <p className="muted small">
        <code>{cycle.id}</code> · {cycle.reason} · by {cycle.actor} · {ago(cycle.created_at, now)}
      </p>
      <Steps cycle={cycle} />
      {cycle.error && <Why cycle={cycle} />}
      {figures.length > 0 && <Figures figures={figures} />}
      {verdict && (
        <>
          <h3>
            The gate {verdict.promoted ? "passed" : "refused"}
            <span className="muted small">
              {verdict.mode && ` must be ${verdict.mode}`}
              {verdict.images !== null && ` · ${verdict.images} images`}
            </span>
          </h3>
          <Clauses clauses={verdict.clauses} />
        </>
      )}
    </>
  );
}

/** Why it stopped; of a cycle that goes on by itself later, what it waits for. */
export function Why({ cycle: { error, finished_at } }: { cycle: Cycle }) {
  const waits = finished_at === null;
  return (
    <div className={waits ? "callout warn" : "callout error"} role={waits ? "status" : "alert"} data-testid="cycle-why">
      <strong>{waits ? "It waits" : "It stopped"}</strong>
      <p>{error}</p>
      {waits && <p className="muted">It goes on by itself when it can.</p>}
    </div>
  );
}

export function Steps({ cycle }: { cycle: Cycle }) {
  // A refused cycle is finished, but it went no further than the gate.
  const at =
    cycle.state === "refused"
      ? STEPS.indexOf("gate")
      : cycle.step === "done"
        ? STEPS.length
        : STEPS.indexOf(cycle.step);
  const stopped = cycle.finished_at !== null;
  return (
    <ol className="steps">
      {STEPS.map((step, index) => {
        const state =
          index < at || cycle.state === "promoted" ? "done" : index > at ? "later" : stopped ? "stopped" : "now";
        const progress = state === "done" ? 1 : state === "now" ? cycle.progress : 0;
        return (
          <li key={step} className={state} aria-current={state === "now" ? "step" : undefined}>
            <div
              className="bar"
              role="progressbar"
              aria-label={step}
              aria-valuenow={Math.round(progress * 100)}
              aria-valuemin={0}
              aria-valuemax={100}
            >
              <span style={{ width: percent(progress) }} />
            </div>
            <span>
              {step}
              {state === "now" && cycle.progress > 0 && <span className="muted"> {percent(cycle.progress)}</span>}
            </span>
          </li>
        );
      })}
    </ol>
  );
}

function Figures({ figures }: { figures: readonly Figure[] }) {
  return (
    <table className="figures">
      <thead>
        <tr>
          <th scope="col">On the same images</th>
          <th scope="col">Champion</th>
          <th scope="col">Candidate</th>
          <th scope="col">Change</th>
          <th scope="col">Interval</th>
        </tr>
      </thead>
      <tbody>
        {figures.map((figure) => (
          <tr key={figure.name}>
            <th scope="row">{figure.name}</th>
            <td>{fixed(figure.champion, 3)}</td>
            <td>{fixed(figure.candidate, 3)}</td>
            <td className={figure.delta === null ? "" : figure.delta > 0 ? "up" : figure.delta < 0 ? "down" : ""}>
              {signed(figure.delta, 3)}
            </td>
            <td>{figure.interval ? `${signed(figure.interval[0], 3)} to ${signed(figure.interval[1], 3)}` : "–"}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function StateBadge({ state }: { state: Cycle["state"] }) {
  const tone = { queued: "info", running: "info", promoted: "good", refused: "warn", failed: "bad" }[state];
  return <span className={`badge ${tone}`}>{state}</span>;
}
