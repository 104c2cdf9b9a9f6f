import type { Api } from "../api/client";
import type { ProjectEvent } from "../api/types";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { ago } from "../app/format";
import { useNow } from "../app/hooks";
import { failedRuleOf } from "./runs";
import { useFailedRules } from "./useFailedRules";

export function FailedRulesCard({ api, project }: { readonly api: Api; readonly project: string }) {
  const asked = useFailedRules(api, project);
  const now = useNow(10_000);
  return (
    <Card title="Rules that failed" testid="failed-rules">
      <p className="muted">
        A function among the recipe’s rules raised or took too long, and answers were taken without it. Told once an
        hour and rule.
      </p>
      <Fetched asked={asked} what="the history">
        {({ events, more }) => (
          <>
            {events.length === 0 && !more && <p className="muted">None has.</p>}
            {events.length > 0 && (
              <div className="scroll">
                <table className="figures">
                  <thead>
                    <tr>
                      <th scope="col">Rule</th>
                      <th scope="col" className="text">
                        Function
                      </th>
                      <th scope="col" className="text">
                        Why
                      </th>
                      <th scope="col">When</th>
                    </tr>
                  </thead>
                  <tbody>
                    {events.map((event) => (
                      <Row key={event.sequence} event={event} now={now} />
                    ))}
                  </tbody>
                </table>
              </div>
            )}
            {more && <p className="muted">Newer history is still being read…</p>}
          </>
        )}
      </Fetched>
    </Card>
  );
}

function Row({ event, now }: { readonly event: ProjectEvent; readonly now: number }) {
  const { rule, name, why } = failedRuleOf(event);
  return (
    <tr data-testid={`failed-rule-${rule}`}>
      <th scope="row">{rule}</th>
      <td className="text">
        <code>{name}</code>
      </td>
      <td className="text wraps small">{why}</td>
      <td className="muted">{ago(event.at, now)}</td>
    </tr>
  );
}
