import type { Api } from "../api/client";
import type { ProductionSeries } from "../api/types";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { Plot, lineOf } from "../app/Plot";
import { useAsked } from "../app/asked";
import { counted } from "../app/figures";
import { moment, percent } from "../app/format";
import { productionSeries } from "./calls";
import { daysOf, topOf } from "./quality";

const REFRESH_MS = 300_000;

/** The failure rate as it was believed each day, by bounds that may be looked at each day. */
export function SeriesCard({ api, project }: { readonly api: Api; readonly project: string }) {
  const asked = useAsked(() => productionSeries(api, project), project, REFRESH_MS);
  return (
    <Card title="Failure rate over time" testid="series">
      <Fetched asked={asked} what="the series">
        {(series) =>
          series.points.length === 0 ? (
            <p className="muted">
              No audit of this version is answered yet; there is a point for each day with audits. They are drawn by
              the policy’s audit rate, and wait at Review.
            </p>
          ) : (
            <Series series={series} />
          )
        }
      </Fetched>
    </Card>
  );
}

function Series({ series: { points, since } }: { readonly series: ProductionSeries }) {
  const days = daysOf(points);
  const most = topOf(points.map(({ high }) => high));
  const last = points.at(-1);
  const at = (day: string): number => Date.parse(day);
  const [only] = points.length === 1 ? points : [];
  return (
    <>
      <p className="muted">
        All audits since {moment(since)}. The bounds hold on all days together with 95 %, if the rate does not change:
        look as often as you like.
      </p>
      <div className="plots">
        <Plot
          name="Failure rate, as it was believed each day"
          label="Failure rate with its bounds, by day"
          across={{ ...days, name: "day (UTC)" }}
          most={most}
          told={(value) => percent(value, most < 0.2 ? 1 : 0)}
        >
          {(x, y) =>
            only ? (
              <g className="single">
                <line x1={x(at(only.day))} x2={x(at(only.day))} y1={y(only.low)} y2={y(only.high)} />
                <circle cx={x(at(only.day))} cy={y(only.value)} r={3} />
              </g>
            ) : (
              <>
                <polygon
                  className="band"
                  points={lineOf([
                    ...points.map(({ day, high }) => [x(at(day)), y(high)] as const),
                    ...points.toReversed().map(({ day, low }) => [x(at(day)), y(low)] as const),
                  ])}
                />
                <polyline points={lineOf(points.map(({ day, value }) => [x(at(day)), y(value)]))} />
              </>
            )
          }
        </Plot>
      </div>
      {last && (
        <p data-testid="series-last">
          Now {percent(last.value, 1)}, between {percent(last.low, 1)} and {percent(last.high, 1)}, by{" "}
          {counted(last.audits, "audit")}.
        </p>
      )}
    </>
  );
}
