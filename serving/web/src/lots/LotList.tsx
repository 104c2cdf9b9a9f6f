import type { Lot } from "../api/types";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { usePages } from "../app/asked";
import { ago, count, share } from "../app/format";
import { useNow } from "../app/hooks";
import type { ViewProps } from "../app/view";
import { lotsAfter } from "./calls";
import { TONES, limitsOf, planOf } from "./lots";

const REFRESH_MS = 5_000;

export function LotList({ api, project, onPlace }: ViewProps) {
  const now = useNow(10_000);
  const lots = usePages(
    async (after) => {
      const page = await lotsAfter(api, project.id, after);
      return { rows: page.lots, next: page.next };
    },
    project.id,
    REFRESH_MS,
  );
  const { qa, lots: rules } = project.policy.workflow;
  const inLots = qa === "lots";
  return (
    <Card title="Lots" testid="lots">
      <p className="muted">
        {inLots
          ? `Answers are judged in lots of ${count(rules.size)}: ${planOf(rules)}.`
          : "No new lots are made: the policy's workflow.qa is not “lots”."}
      </p>
      <Fetched asked={lots} what="the lots">
        {({ rows, next }) =>
          rows.length === 0 ? (
            <p className="muted" data-testid="no-lots">
              No lot yet.{" "}
              {inLots ? (
                "One opens with the next task."
              ) : (
                <>
                  Lots let a sample speak for many answers; <code>workflow.qa</code> set to <code>lots</code> in the
                  project’s policy begins with them.
                </>
              )}
            </p>
          ) : (
            <>
              <div className="scroll">
                <table className="figures">
                  <thead>
                    <tr>
                      <th scope="col">Lot</th>
                      <th scope="col" className="text">
                        State
                      </th>
                      <th scope="col" className="text">
                        Source
                      </th>
                      <th scope="col">Items</th>
                      <th scope="col">Answered</th>
                      <th scope="col">Looked at</th>
                      <th scope="col">Defects</th>
                      <th scope="col" className="text">
                        Verdict
                      </th>
                      <th scope="col">Opened</th>
                    </tr>
                  </thead>
                  <tbody>
                    {rows.map((lot) => (
                      <Row key={lot.id} lot={lot} now={now} onOpen={() => onPlace(lot.id)} />
                    ))}
                  </tbody>
                </table>
              </div>
              {next !== null && <button onClick={lots.more}>Show older lots</button>}
            </>
          )
        }
      </Fetched>
    </Card>
  );
}

function Row({ lot, now, onOpen }: { readonly lot: Lot; readonly now: number; readonly onOpen: () => void }) {
  const { id, items, unanswered, inspected, defects, state } = lot;
  return (
    <tr className="opens" data-testid={`lot-${id}`}>
      <th scope="row">
        <button className="link" onClick={onOpen}>
          <code title={id}>…{id.slice(-10)}</code>
        </button>
      </th>
      <td className="text">
        <span className={`badge ${TONES[state]}`}>{state}</span>
      </td>
      <td className="text">
        {lot.source || (!lot.upload && <span className="muted">all</span>)}
        {lot.upload && <span className="muted"> upload</span>}
      </td>
      <td>
        {count(items)}
        {state === "open" && !lot.upload && <span className="muted"> of {count(lot.rules.size)}</span>}
      </td>
      <td>{share(items - unanswered, items)}</td>
      <td>{count(inspected)}</td>
      <td className={defects > 0 ? "down" : ""}>{count(defects)}</td>
      <td className="text wraps muted small">{lot.decided_at ? `${lot.actor}: ${lot.reason}` : limitsOf(lot)}</td>
      <td className="muted">{ago(lot.opened_at, now)}</td>
    </tr>
  );
}
