/** What a lot's plan can tell: how probably it accepts lots of how many defects, and how much it looks at for that. */
import type { Api } from "../api/client";
import type { Curve, Lot } from "../api/types";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { useAsked } from "../app/asked";
import { exactly } from "../app/figures";
import { count, percent } from "../app/format";
import { curve } from "./calls";
import { CurvePlot } from "./CurvePlot";
import { told, wilson } from "./lots";

interface Props {
  readonly api: Api;
  readonly project: string;
  readonly lot: Lot;
  /** Items that are judged. */
  readonly size: number;
}

const REFRESH_MS = 3_600_000; // it depends on nothing but the rules

export function CurveCard({ api, project, lot, size }: Props) {
  const { rules } = lot;
  const asked = useAsked(() => curve(api, project, rules, size), JSON.stringify([rules, size]), REFRESH_MS);
  const seen = lot.inspected > 0 ? { share: lot.defects / lot.inspected, ...wilson(lot.defects, lot.inspected) } : null;
  return (
    <Card title="What the plan can tell" testid="lot-curve">
      <Fetched asked={asked} what="the curve">
        {(found) => (
          <>
            <p className="muted">
              Of {count(found.size)} items it looks at {count(found.most)} at most. By the share of defects in a lot:
              how probably it is accepted (operating characteristic), and how many items are looked at on average.
            </p>
            <div className="plots">
              <CurvePlot
                curve={found}
                value={(point) => point.accepts}
                most={1}
                name="Probability of acceptance"
                told={(value) => percent(value)}
                marks={marksOf(found)}
                seen={seen}
              />
              <CurvePlot
                curve={found}
                value={(point) => point.inspects}
                most={found.most}
                name="Items looked at on average"
                told={count}
                marks={marksOf(found)}
                seen={seen}
              />
            </div>
            {seen && <p className="muted small">Blue: the share of defects in the sample, with its 95 % interval.</p>}
            <details>
              <summary>In numbers</summary>
              <Numbers curve={found} />
            </details>
          </>
        )}
      </Fetched>
    </Card>
  );
}

function Numbers({ curve: { points } }: { readonly curve: Curve }) {
  return (
    <table className="figures after">
      <thead>
        <tr>
          <th scope="col">Defects in the lot</th>
          <th scope="col">Share</th>
          <th scope="col">Accepted with probability</th>
          <th scope="col">Looked at on average</th>
        </tr>
      </thead>
      <tbody>
        {told(points).map((point) => (
          <tr key={point.defects}>
            <th scope="row">{count(point.defects)}</th>
            <td>{percent(point.share, 1)}</td>
            <td>{point.accepts.toFixed(3)}</td>
            <td>{point.inspects.toFixed(1)} items</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function marksOf({ rules }: Curve): { share: number; name: string }[] {
  if (rules.plan === "share") return [{ share: rules.threshold, name: `limit ${exactly(rules.threshold)}` }];
  return [
    { share: rules.aql, name: `good: ${exactly(rules.aql)}` },
    { share: rules.ltpd, name: `bad: ${exactly(rules.ltpd)}` },
  ];
}
