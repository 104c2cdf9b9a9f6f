/** Whether production still looks like what the champion was judged on. */
import { useState } from "react";
import type { Api } from "../api/client";
import { ProblemError } from "../api/problem";
import type { DriftReport } from "../api/types";
import type { Act } from "../app/act";
import { ago, count, moment, percent, short } from "../app/format";
import { AcceptDriftDialog } from "./dialogs";
import { effectOf, looksAt, signedPercent, verdictOf } from "./drift";
import { useDrift } from "./useDrift";

interface Props {
  readonly api: Api;
  readonly project: string;
  readonly now: number;
  readonly act: Act | null;
}

const SHOWN = 6; // classes and sources

/** act: null for those who may only look. */
export function DriftCard({ api, project, now, act }: Props) {
  const { drift, refresh } = useDrift(api, project);
  const [asking, setAsking] = useState(false);
  const [looking, setLooking] = useState(false);
  // The look that was the newest when the reference was replaced: it says nothing of the new one.
  const [outdated, setOutdated] = useState<string | null>(null);
  const { page, noChampion, problem } = drift;
  const report = page?.reports[0] ?? null;

  const look = async (run: Act) => {
    setLooking(true);
    await run(api.lookForDrift(project), "Looked for drift", "The newest predictions were compared.", TOO_FEW);
    await refresh();
    setLooking(false);
  };
  const accept = async (run: Act) => {
    setAsking(false);
    const accepted = await run(
      api.acceptDrift(project),
      "Accepted as the new reference",
      "Later windows are compared with the newest predictions.",
      TOO_FEW,
    );
    if (accepted) setOutdated(report?.id ?? null);
    await refresh();
  };

  return (
    <section className="card" aria-label="Drift" data-testid="drift">
      <header>
        <h2>Drift</h2>
        {report && <DriftBadge report={report} />}
        {page?.alarm && <span className="badge bad">alarm</span>}
        <span className="grow" />
        {act && page && (
          <>
            <button data-testid="accept-drift" onClick={() => setAsking(true)}>
              Accept as the new reference
            </button>
            <button data-testid="check-drift" disabled={looking} onClick={() => void look(act)}>
              {looking ? "Looking…" : "Check now"}
            </button>
          </>
        )}
      </header>
      {problem && (
        <p className="callout warn" role="status">
          {problem.title}. {problem.detail} {problem.hint}
        </p>
      )}
      {noChampion && <p className="muted">No model serves yet, so there is nothing to compare with.</p>}
      {report && report.id === outdated && (
        <p className="callout" role="status" data-testid="drift-outdated">
          Below is the look before: the next one compares with the reference that was accepted.
        </p>
      )}
      {report && page && <Report report={report} champion={page.model_id} now={now} />}
      {page && !report && (
        <p className="muted" data-testid="drift-nothing">
          Not enough images yet: nothing has been compared.
        </p>
      )}
      {page && (
        <p className="muted small" data-testid="drift-waiting">
          Next: {page.waiting}
        </p>
      )}
      {asking && act && <AcceptDriftDialog onClose={() => setAsking(false)} onAccept={() => void accept(act)} />}
    </section>
  );
}

/** What is no failure, but something to wait for. */
const TOO_FEW = (error: unknown): boolean => error instanceof ProblemError && error.code === "too-few-images";

function DriftBadge({ report }: { report: DriftReport }) {
  const { tone, words } = verdictOf(report);
  return (
    <span className={`badge ${tone}`} data-testid="drift-verdict">
      {words}
    </span>
  );
}

function Report({ report, champion, now }: { report: DriftReport; champion: string; now: number }) {
  const drifts = report.verdict === "drift";
  return (
    <>
      <p className="muted small" data-testid="drift-compared">
        {ago(report.created_at, now)}
        {report.scheduled ? "" : ` by ${report.actor}`} · {count(report.window_images)} images of{" "}
        {count(report.window_of)} predictions from {moment(report.window_from)} to {moment(report.window_until)},
        against {count(report.reference_images)} that <code>{short(report.model_id)}</code>{" "}
        {report.reference_origin === "evaluation" ? "was evaluated on" : "predicted as reference"}
        {report.model_id !== champion && "; another model serves now"}
      </p>
      <p>{verdictOf(report).detail}</p>
      <Tests report={report} />
      {drifts && <Moves report={report} />}
      {report.notes.map((note) => (
        <p key={note} className="muted small">
          {note}
        </p>
      ))}
    </>
  );
}

function Tests({ report }: { report: DriftReport }) {
  return (
    <table className="figures drift-tests">
      <thead>
        <tr>
          <th scope="col">Test</th>
          <th scope="col">Effect (95 % interval)</th>
          <th scope="col">Adjusted p</th>
        </tr>
      </thead>
      <tbody>
        {report.tests.map((test) => {
          const drifts = test.adjusted_p <= report.level;
          return (
            <tr key={test.name}>
              <th scope="row">
                {test.name} <span className="muted small">{looksAt(test)}</span>
              </th>
              <td>{effectOf(test)}</td>
              <td className={drifts ? "down" : ""}>
                {test.adjusted_p.toFixed(3)}
                {drifts && " drift"}
              </td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

/** What moved: classes, the median score, and the sources that are most unlike. */
function Moves({ report }: { report: DriftReport }) {
  const { scores } = report;
  const sources = report.sources.filter((source) => source.source !== "").slice(0, SHOWN);
  return (
    <>
      {report.classes.length > 0 && (
        <table className="figures" data-testid="drift-classes">
          <thead>
            <tr>
              <th scope="col">Class</th>
              <th scope="col">Before</th>
              <th scope="col">Now</th>
              <th scope="col">Change</th>
              <th scope="col">Interval</th>
            </tr>
          </thead>
          <tbody>
            {report.classes.slice(0, SHOWN).map((one) => (
              <tr key={one.label}>
                <th scope="row">{one.label}</th>
                <td>{percent(one.before, 1)}</td>
                <td>{percent(one.after, 1)}</td>
                <td>{signedPercent(one.after - one.before)}</td>
                <td>
                  {signedPercent(one.low)} to {signedPercent(one.high)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      <p className="muted small">
        Median of the largest score: {scores.before.toFixed(2)} before, {scores.after.toFixed(2)} now.
        {sources.length > 0 &&
          ` Most unlike: ${sources.map((one) => `${one.source} ${one.unlike.toFixed(2)}`).join(", ")} (0.5: as usual, 1: unlike all of the reference).`}
      </p>
    </>
  );
}
