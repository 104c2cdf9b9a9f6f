import type { Reviewer } from "../api/types";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { RateBar } from "../app/RateBar";
import { useAsked } from "../app/asked";
import { fixed } from "../app/figures";
import { ago, count, percent } from "../app/format";
import { useNow } from "../app/hooks";
import type { ViewProps } from "../app/view";
import { reviewers } from "./calls";
import { JUDGING_MEANINGS, MEANINGS, TONES, neededOf, sharedOf, whyOf } from "./reviewers";

const REFRESH_MS = 10_000;

export function ReviewerList({ api, project, onPlace }: ViewProps) {
  const asked = useAsked(() => reviewers(api, project.id), project.id, REFRESH_MS);
  const now = useNow(10_000);
  const { bar, confidence, min_items } = project.policy.quality.standing;
  return (
    <Card title="Reviewers" testid="reviewers">
      <p className="muted">
        By golden items: precision and recall with 95 % intervals. Whoever surely misses the bar of {percent(bar)} is
        warned, then paused; from {count(min_items)} golden items on, with {percent(confidence)} confidence.
      </p>
      <Fetched asked={asked} what="the reviewers">
        {({ reviewers: people }) =>
          people.length === 0 ? (
            <p className="muted">
              Nobody may review here yet. Make a token for somebody below, or by <code>askance token create</code>.
            </p>
          ) : (
            <div className="scroll">
              <table className="figures">
                <thead>
                  <tr>
                    <th scope="col">Name</th>
                    <th scope="col" className="text">
                      Standing
                    </th>
                    <th scope="col" className="text">
                      Why
                    </th>
                    <th scope="col" title="for the present standing">
                      Golden items
                    </th>
                    <th scope="col" className="text">
                      Precision
                    </th>
                    <th scope="col" className="text">
                      Recall
                    </th>
                    <th scope="col">Mean IoU</th>
                  </tr>
                </thead>
                <tbody>
                  {people.map((one) => (
                    <Row key={one.id} one={one} bar={bar} now={now} onOpen={() => onPlace(one.id)} />
                  ))}
                </tbody>
              </table>
            </div>
          )
        }
      </Fetched>
    </Card>
  );
}

interface RowProps {
  readonly one: Reviewer;
  readonly bar: number;
  readonly now: number;
  readonly onOpen: () => void;
}

function Row({ one, bar, now, onOpen }: RowProps) {
  return (
    <tr className="opens" data-testid={`reviewer-${one.id}`}>
      <th scope="row">
        <button className="link" onClick={onOpen}>
          {one.name}
        </button>
      </th>
      <td className="text">
        <span className={`badge ${TONES[one.standing]}`} title={MEANINGS[one.standing]}>
          {one.standing}
        </span>
        <br />
        <span className="muted small">
          {one.since && ago(one.since, now)}
          {one.actor && ` by ${one.actor}`}
        </span>
        {one.judging.standing !== "qualified" && (
          <>
            <br />
            <span className={`badge ${TONES[one.judging.standing]}`} title={JUDGING_MEANINGS[one.judging.standing]}>
              {one.judging.standing} as judge
            </span>
          </>
        )}
      </td>
      <td className="text wraps muted small">
        {whyOf(one)} {neededOf(one)} {sharedOf(one)}
      </td>
      <td>{count(one.items)}</td>
      <td className="text">
        <RateBar rate={one.precision} bar={bar} />
      </td>
      <td className="text">
        <RateBar rate={one.recall} bar={bar} />
      </td>
      <td>{fixed(one.iou)}</td>
    </tr>
  );
}
