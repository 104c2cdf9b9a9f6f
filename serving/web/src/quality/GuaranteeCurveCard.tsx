/** What each threshold would let pass and cost, by the answers of now. */
import { useState } from "react";
import type { Api } from "../api/client";
import { ProblemError } from "../api/problem";
import type { GuaranteeCurve, Promised } from "../api/types";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { FRAME, Plot, lineOf } from "../app/Plot";
import { useAsked } from "../app/asked";
import { exactly, money } from "../app/figures";
import { percent } from "../app/format";
import { ticksOf } from "../app/ticks";
import { guaranteeCurve } from "./calls";
import { groupInWords, thresholdInWords, topOf } from "./quality";

const REFRESH_MS = 300_000;
const ACROSS = {
  from: 0,
  until: 1,
  ticks: ticksOf(1).map((at) => ({ at, words: String(at) })),
  name: "threshold: people look from this risk on",
};

const TOO_FEW = "too few answers";
type Answered = GuaranteeCurve | typeof TOO_FEW;

interface Props {
  readonly api: Api;
  readonly project: string;
  readonly promises: readonly Promised[];
}

export function GuaranteeCurveCard({ api, project, promises }: Props) {
  const [promise, setPromise] = useState(1);
  const [group, setGroup] = useState<string | null>(null);
  const about = `${promise}/${group ?? ""}`;
  const asked = useAsked<Answered>(() => guaranteeCurve(api, project, promise, group).catch(tooFew), about, REFRESH_MS);
  const curve = asked.value === TOO_FEW ? null : asked.value;
  const groups = curve?.promise === promise ? curve.groups : [];
  return (
    <Card
      title="What a threshold would let pass"
      testid="guarantee-curve"
      aside={
        <>
          <span className="grow" />
          {promises.length > 1 && (
            <select
              aria-label="Promise"
              value={promise}
              onChange={(event) => {
                setPromise(Number(event.target.value));
                setGroup(null);
              }}
            >
              {promises.map((one, number) => (
                <option key={number} value={number + 1}>
                  promise {number + 1}: {exactly(one.alpha)}
                </option>
              ))}
            </select>
          )}
          {groups.length > 1 && (
            <select
              aria-label="Group"
              value={group ?? curve?.group}
              onChange={(event) => setGroup(event.target.value)}
            >
              {groups.map((one) => (
                <option key={one} value={one}>
                  {groupInWords(one)}
                </option>
              ))}
            </select>
          )}
        </>
      }
    >
      <Fetched asked={asked} what="the curve">
        {(found) =>
          found === TOO_FEW || found.points.length === 0 ? (
            <p className="muted" data-testid="too-few-answers">
              Too few answers yet: nothing judges thresholds so far. People’s answers to audits and other tasks do.
            </p>
          ) : (
            <Curves curve={found} />
          )
        }
      </Fetched>
    </Card>
  );
}

/** A promise of which nothing is known yet is no failure. */
function tooFew(error: unknown): Answered {
  if (error instanceof ProblemError && error.code === "conflict") return TOO_FEW;
  throw error;
}

function Curves({ curve }: { readonly curve: GuaranteeCurve }) {
  const { points, alpha, present } = curve;
  const most = topOf([2 * alpha, ...points.map(({ passing }) => passing)]);
  return (
    <>
      <div className="plots">
        <Plot
          name="Passes without a person"
          label="Share of the group that passes, by the threshold"
          across={ACROSS}
          most={1}
          told={(value) => percent(value)}
        >
          {(x, y) => (
            <>
              <Present at={x(present)} />
              <polyline points={lineOf(points.map((point) => [x(point.threshold), y(point.automation)]))} />
            </>
          )}
        </Plot>
        <Plot
          name="Fails and passes: the bound (solid), the estimate (thin)"
          label="Bound and estimate of the rate that fails and passes, by the threshold"
          across={ACROSS}
          most={most}
          told={(value) => percent(value, most < 0.2 ? 1 : 0)}
        >
          {(x, y) => (
            <>
              <Present at={x(present)} />
              <g className="mark">
                <line x1={FRAME.left} x2={FRAME.right} y1={y(alpha)} y2={y(alpha)} />
                <text x={FRAME.left + 4} y={y(alpha) - 4}>
                  promised: {exactly(alpha)}
                </text>
              </g>
              <polyline points={lineOf(points.map((point) => [x(point.threshold), y(point.bound)]))} />
              <polyline
                className="thin"
                points={lineOf(points.map((point) => [x(point.threshold), y(point.passing)]))}
              />
            </>
          )}
        </Plot>
      </div>
      <p className="muted small" data-testid="present">
        Blue: what the answers of now give, {thresholdInWords(present)}. A bound above {percent(most)} is drawn there.
        {curve.cheapest !== null && ` The lowest cost is at ${curve.cheapest.toFixed(3)}, whatever is promised`}
        {curve.cheapest !== null && costAt(curve, curve.cheapest)}
        {curve.worth !== null &&
          ` From a risk of ${curve.worth.toFixed(3)} on a review costs less than the error that it prevents.`}
      </p>
    </>
  );
}

function costAt({ priced, currency }: GuaranteeCurve, threshold: number): string {
  const point = priced.find((one) => one.threshold === threshold);
  return point ? `: ${money(point.cost, currency)} for 1,000 predictions.` : ".";
}

function Present({ at }: { readonly at: number }) {
  return (
    <g className="seen">
      <line x1={at} x2={at} y1={FRAME.top} y2={FRAME.bottom} />
    </g>
  );
}
