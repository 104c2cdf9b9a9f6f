import { useState } from "react";
import type { Api } from "../api/client";
import type { Production, ProductionFigure, ProductionRow } from "../api/types";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { RateBar } from "../app/RateBar";
import { useAsked } from "../app/asked";
import { counted } from "../app/figures";
import { count, moment, percent } from "../app/format";
import { type ProductionBy, production } from "./calls";
import { tooLittle } from "./quality";

const REFRESH_MS = 120_000;
const BYS: Record<ProductionBy, string> = {
  label: "label",
  source: "source",
  day: "day",
  week: "week",
  model: "version of the model",
};

interface Props {
  readonly api: Api;
  readonly project: string;
  readonly since: string;
}

/** How much of what was predicted was wrong, by what people found; apart from it what callers report. */
export function ProductionCards({ api, project, since }: Props) {
  const [by, setBy] = useState<ProductionBy>("source");
  const asked = useAsked(() => production(api, project, since, by), `${since}/${by}`, REFRESH_MS);
  const found = asked.value;
  return (
    <>
      <Card
        title="Quality of production"
        testid="production"
        aside={
          <>
            <span className="grow" />
            <label className="row">
              <span className="muted">by</span>
              <select
                data-testid="production-by"
                value={by}
                onChange={(event) => setBy(event.target.value as ProductionBy)}
              >
                {Object.entries(BYS).map(([name, words]) => (
                  <option key={name} value={name}>
                    {words}
                  </option>
                ))}
              </select>
            </label>
          </>
        }
      >
        <Fetched asked={asked} what="the figures">
          {(report) => <Report report={report} />}
        </Fetched>
      </Card>
      {found && <Outcomes outcomes={found.outcomes} />}
    </>
  );
}

function Report({ report }: { readonly report: Production }) {
  const { total, rows, by, notes } = report;
  const nothing = tooLittle(total, report.waiting);
  return (
    <>
      <p className="muted small">
        Version <code>{report.model_id}</code>, {moment(report.since)} to {moment(report.until)}:{" "}
        {counted(total.predictions, "prediction")}, {counted(total.answers, "answer")}, of which {counted(total.audits, "audit")}
        {total.unanswered > 0 && `, ${count(total.unanswered)} unanswered`}.{" "}
        {report.waiting > 0 && `${counted(report.waiting, "prediction waits", "predictions wait")} for people. `}
        {report.basis === "audits"
          ? "By audits alone."
          : "By audits and reviewed predictions, each by its probability."}
      </p>
      {notes.map((note) => (
        <p key={note} className="callout warn" data-testid="production-note">
          {note}
        </p>
      ))}
      {nothing ? (
        <p className="muted" data-testid="production-nothing">
          {nothing}
        </p>
      ) : (
        <>
          <Total total={total} />
          {by !== null && rows.length > 0 && <Rows rows={rows} by={by} />}
        </>
      )}
    </>
  );
}

const FIGURES = [
  ["failure_rate", "Failure rate", "a person had something to correct"],
  ["precision", "Precision", "right detections among all detections"],
  ["recall", "Recall", "objects found among all that are there"],
] as const;

function Total({ total }: { readonly total: ProductionRow }) {
  return (
    <div className="scroll">
      <table className="figures" data-testid="production-total">
        <thead>
          <tr>
            <th scope="col">In total, with 95 % intervals</th>
            <th scope="col" className="text">
              By answers alone
            </th>
            <th scope="col" className="text">
              With the risk of all predictions
            </th>
            <th scope="col">Worth as many drawn equally</th>
          </tr>
        </thead>
        <tbody>
          {FIGURES.map(([key, name, meaning]) => (
            <Figure key={key} name={name} meaning={meaning} figure={total[key]} />
          ))}
        </tbody>
      </table>
      <p className="muted small">
        Two estimates of the same; read one, always the same. The second is there from 100 answers on.
      </p>
    </div>
  );
}

function Figure(props: { readonly name: string; readonly meaning: string; readonly figure: ProductionFigure }) {
  const { plain, assisted, worst } = props.figure;
  return (
    <tr>
      <th scope="row">
        {props.name} <div className="muted small">{props.meaning}</div>
      </th>
      <td className="text">
        <RateBar rate={plain} />
        {worst && (
          <div className="muted small">
            {percent(worst[0])} to {percent(worst[1])}, were the unanswered all good or all bad
          </div>
        )}
      </td>
      <td className="text">
        <RateBar rate={assisted} />
      </td>
      <td>{plain === null ? "–" : Math.round(plain.effective_n).toLocaleString("en-US")}</td>
    </tr>
  );
}

function Rows({ rows, by }: { readonly rows: readonly ProductionRow[]; readonly by: ProductionBy }) {
  return (
    <div className="scroll">
      <table className="figures" data-testid="production-rows">
        <thead>
          <tr>
            <th scope="col">By {BYS[by]}</th>
            <th scope="col">Predictions</th>
            <th scope="col">Answers</th>
            {FIGURES.map(([key, name]) => (
              <th key={key} scope="col" className="text">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.key}>
              <th scope="row">
                {row.key || <span className="muted">none</span>}
                {row.words && <div className="muted small wide-words">{row.words}</div>}
              </th>
              <td>{count(row.predictions)}</td>
              <td>
                {count(row.answers)} <span className="muted">({count(row.audits)} at random)</span>
              </td>
              {FIGURES.map(([key]) => (
                <td key={key} className="text">
                  <RateBar rate={row[key].plain} />
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Outcomes({ outcomes: { wrong, right, note } }: { readonly outcomes: Production["outcomes"] }) {
  return (
    <Card title="Reported by callers" testid="outcomes" aside={<span className="badge warn">biased</span>}>
      {wrong + right === 0 ? (
        <p className="muted">No caller has said how a prediction of this time turned out.</p>
      ) : (
        <p>
          {counted(wrong, "prediction was", "predictions were")} said to be wrong, {count(right)} to be right.
        </p>
      )}
      <p className="muted">{note}</p>
    </Card>
  );
}
