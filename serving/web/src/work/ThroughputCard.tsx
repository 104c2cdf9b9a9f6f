import { useState } from "react";
import type { WorkBy, WorkRow } from "../api/types";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { useAsked } from "../app/asked";
import { fixed, shareOf } from "../app/figures";
import { count } from "../app/format";
import type { SpanProps } from "./WorkPage";
import { work } from "./calls";
import { defectsOf, judgingOf, paceOf } from "./work";

const REFRESH_MS = 60_000;
const BYS: Record<WorkBy, string> = {
  reviewer: "by reviewer",
  label: "by label",
  source: "by source",
  hour: "by hour of the day",
  day: "by day",
};

const HEADS: Record<WorkBy, string> = {
  reviewer: "Reviewer",
  label: "Label",
  source: "Source",
  hour: "Hour of the day",
  day: "Day",
};

export function ThroughputCard({ api, project, since, span }: SpanProps) {
  const [by, setBy] = useState<WorkBy>("reviewer");
  const tz = Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC";
  const asked = useAsked(() => work(api, project.id, since, by, tz), `${since}/${by}`, REFRESH_MS);
  return (
    <Card
      title="Throughput and time"
      testid="work"
      aside={
        <>
          <span className="muted small">hours and days as in {tz}</span>
          <span className="grow" />
          <select
            aria-label="Rows"
            data-testid="work-by"
            value={by}
            onChange={(event) => setBy(event.target.value as WorkBy)}
          >
            {Object.entries(BYS).map(([name, words]) => (
              <option key={name} value={name}>
                {words}
              </option>
            ))}
          </select>
        </>
      }
    >
      <Fetched asked={asked} what="the work">
        {({ rows, by: told }) =>
          rows.length === 0 ? (
            <p className="muted">Nobody has answered in {span}. Choose a longer time above, or see the queue.</p>
          ) : (
            <>
              <div className="scroll">
                <Rows rows={rows} by={told} />
              </div>
              <p className="muted small">
                Times: median, and one robust standard deviation to both sides. Judged: answers of others that QA let
                stand or gave back; what it corrects is an answer. Working time leaves the idle out.
                {told === "reviewer" && " Defects: of somebody’s answers that QA looked at, what it gave back or corrected."}
              </p>
            </>
          )
        }
      </Fetched>
    </Card>
  );
}

function Rows({ rows, by }: { readonly rows: readonly WorkRow[]; readonly by: WorkBy }) {
  const most = Math.max(...rows.map((row) => Math.max(row.tasks, row.judged)), 1);
  return (
    <table className="figures">
      <thead>
        <tr>
          <th scope="col">{HEADS[by]}</th>
          <th scope="col">Answers</th>
          <th scope="col">Shapes</th>
          <th scope="col">Time of an answer</th>
          <th scope="col">Judged</th>
          <th scope="col">Time of a judgement</th>
          <th scope="col" title="answers and judgements">
            An hour
          </th>
          <th scope="col">Working time</th>
          <th scope="col">Corrected</th>
          <th scope="col">Skipped</th>
          {by === "reviewer" && <th scope="col">Defects</th>}
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.key}>
            <th scope="row">{row.name || <span className="muted">none</span>}</th>
            <td>
              <Amount of={row.tasks} most={most} />
            </td>
            <td>{count(row.shapes)}</td>
            <td>{paceOf(row)}</td>
            <td>
              <Amount of={row.judged} most={most} />
            </td>
            <td>{judgingOf(row)}</td>
            <td>{fixed(row.tasks_per_hour, 1)}</td>
            <td>{row.hours.toFixed(2)} h</td>
            <td>{shareOf(row.corrected_share)}</td>
            <td>{shareOf(row.skip_share)}</td>
            {by === "reviewer" && <td>{defectsOf(row)}</td>}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Amount({ of, most }: { readonly of: number; readonly most: number }) {
  return (
    <>
      <span className="amount" style={{ width: `${(40 * of) / most}px` }} aria-hidden="true" />
      {count(of)}
    </>
  );
}
