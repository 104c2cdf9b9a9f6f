import type { Api } from "../api/client";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { useAsked } from "../app/asked";
import { triggers } from "../policy/calls";
import { togetherInWords } from "../policy/together";
import { fragmentOf } from "../session/route";
import { triggersInWords } from "./cycles";

const REFRESH_MS = 30_000;

/** What asks for a cycle by itself, and what is waited for. */
export function TriggersCard({ api, project }: { readonly api: Api; readonly project: string }) {
  const asked = useAsked(() => triggers(api, project), project, REFRESH_MS);
  return (
    <Card title="Cycles by themselves" testid="triggers">
      <Fetched asked={asked} what="the triggers">
        {(found) => {
          const set = triggersInWords(found);
          return set.length === 0 ? (
            <p className="muted">
              Nothing asks for cycles by itself. Set what does <a href={fragmentOf(project, "policy")}>at Policy</a>, or with{" "}
              <code>askance cycle triggers --set</code>.
            </p>
          ) : (
            <>
              <table className="figures">
                <thead>
                  <tr>
                    <th scope="col">{found.rules.when ? "Condition" : "A cycle begins at any of"}</th>
                    <th scope="col">Now</th>
                    <th scope="col">Holds</th>
                  </tr>
                </thead>
                <tbody>
                  {set.map(({ name, asks, now, holds }) => (
                    <tr key={name} data-testid={`trigger-${name}`}>
                      <th scope="row">{asks}</th>
                      <td>{now}</td>
                      <td>{holds ? "yes" : "no"}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
              {found.rules.when && (
                <p data-testid="triggers-together">
                  A cycle begins at{" "}
                  {togetherInWords(found.rules.when, (name) => set.find((one) => one.name === name)?.asks ?? name)}.
                </p>
              )}
              {found.reasons.length > 0 && <p>Asked for by: {found.reasons.join("; ")}.</p>}
              {found.waiting && <p className="muted">Waits: {found.waiting}</p>}
            </>
          );
        }}
      </Fetched>
    </Card>
  );
}
