import type { Api } from "../api/client";
import type { Risk } from "../api/types";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { Plot, lineOf } from "../app/Plot";
import { useAsked } from "../app/asked";
import { counted, fixed } from "../app/figures";
import { count, percent } from "../app/format";
import { ticksOf } from "../app/ticks";
import { type RiskFigures, isBetter, measuredOf, risk, sourceInWords } from "./risk";

const REFRESH_MS = 120_000;

/** How well it is known which predictions are wrong. */
export function RiskCard({ api, project }: { readonly api: Api; readonly project: string }) {
  const asked = useAsked(() => risk(api, project), project, REFRESH_MS);
  const known = asked.value;
  return (
    <Card
      title="Risk"
      testid="risk"
      aside={
        known && (
          <span className={known.in_use === "learned" ? "badge good" : "badge"} data-testid="risk-in-use">
            {known.in_use === "learned" ? "learned" : "fixed rule"}
          </span>
        )
      }
    >
      <Fetched asked={asked} what="the risk">
        {(value) => <Known risk={value} />}
      </Fetched>
    </Card>
  );
}

function Known({ risk: known }: { readonly risk: Risk }) {
  const measured = measuredOf(known);
  const [first] = measured;
  return (
    <>
      <p className="muted" data-testid="risk-source">
        {sourceInWords(known)}
      </p>
      {first === undefined ? (
        <p className="muted">Nobody has reviewed a prediction of the champion yet, so nothing is measured.</p>
      ) : (
        <>
          <div className="scroll">
            <table className="figures">
              <thead>
                <tr>
                  <th scope="col">Measured</th>
                  <th scope="col">Reviews</th>
                  <th scope="col">Corrected</th>
                  <th scope="col">Failure rate</th>
                  <th scope="col" title="0.5 is no better than chance, 1 tells all of them">
                    AUROC
                  </th>
                  <th scope="col" title="Mean squared error of the risk as a probability: less is better">
                    Brier
                  </th>
                  <th scope="col" title="Brier of always saying the failure rate">
                    of the rate alone
                  </th>
                </tr>
              </thead>
              <tbody>
                {measured.map((row) => (
                  <Row key={row.name} row={row} />
                ))}
              </tbody>
            </table>
          </div>
          <div className="plots">
            <Reliability name={first.name} quality={first.quality} />
          </div>
        </>
      )}
    </>
  );
}

function Row({ row: { name, quality } }: { readonly row: RiskFigures }) {
  const { reviews, failures, failure_rate: rate, auroc, brier, base } = quality;
  return (
    <tr data-testid="risk-row">
      <th scope="row">{name}</th>
      <td>{count(reviews)}</td>
      <td>{count(failures)}</td>
      <td>{percent(rate, 1)}</td>
      <td>{fixed(auroc, 3)}</td>
      <td className={isBetter(quality) ? "up" : "down"}>{fixed(brier, 3)}</td>
      <td>{fixed(base, 3)}</td>
    </tr>
  );
}

const TICKS = ticksOf(1).map((at) => ({ at, words: at.toFixed(1) }));

/** On the diagonal, of what was told a risk of r a share of r failed. */
function Reliability({ name, quality: { reliability, reviews } }: RiskFigures) {
  return (
    <div>
      <Plot
        name={`What was said, and what came: ${name.toLowerCase()}`}
        label={`Share that failed by the risk that was told, in ${counted(reliability.length, "bin")} of ${counted(reviews, "review")}`}
        across={{ from: 0, until: 1, ticks: TICKS, name: "risk that was told" }}
        most={1}
        told={(value) => value.toFixed(1)}
      >
        {(x, y) => (
          <>
            <line className="ideal" x1={x(0)} y1={y(0)} x2={x(1)} y2={y(1)} />
            <polyline points={lineOf(reliability.map(([told, failed]) => [x(told), y(failed)]))} />
            <g className="single">
              {reliability.map(([told, failed], bin) => (
                <circle key={bin} cx={x(told)} cy={y(failed)} r={3} />
              ))}
            </g>
          </>
        )}
      </Plot>
      <p className="muted small">
        Points on the dashed line: as many failed as was said. Above it the risk is told too low, below it too high.
      </p>
    </div>
  );
}
