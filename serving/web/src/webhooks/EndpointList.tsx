import { useState } from "react";
import type { Webhook, WebhookBody } from "../api/types";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { useAsked } from "../app/asked";
import { ago, count } from "../app/format";
import { useNow } from "../app/hooks";
import type { ViewProps } from "../app/view";
import { AddDialog } from "./AddDialog";
import { SecretDialog } from "./SecretDialog";
import { create } from "./calls";
import { stateOf, tellingOf } from "./endpoints";

const REFRESH_MS = 5_000;

export function EndpointList({ api, me, project, notify, onPlace }: ViewProps) {
  const about = project.id;
  const asked = useAsked(async () => tellingOf((await api.webhooks()).webhooks, project.id), about, REFRESH_MS);
  const [adding, setAdding] = useState(false);
  const [secret, setSecret] = useState<string | null>(null);
  const now = useNow(10_000);
  const add = async (body: WebhookBody) => {
    setSecret((await create(api, body)).secret);
    setAdding(false);
    await asked.refresh();
  };
  return (
    <Card
      title="Webhooks"
      testid="endpoints"
      aside={
        <>
          <span className="grow" />
          <button className="primary" data-testid="add-webhook" onClick={() => setAdding(true)}>
            Add
          </button>
        </>
      }
    >
      <p className="muted">Other programs are told what happens, signed, until it has arrived or was given up.</p>
      <Fetched asked={asked} what="the endpoints">
        {(endpoints) =>
          endpoints.length === 0 ? (
            <p className="muted">Nobody is told of events of this project. Add an address that is.</p>
          ) : (
            <div className="scroll">
              <table className="figures">
                <thead>
                  <tr>
                    <th scope="col">Address</th>
                    <th scope="col" className="text">
                      State
                    </th>
                    <th scope="col" className="text">
                      Is told of
                    </th>
                    <th scope="col">To be sent</th>
                    <th scope="col">Dead</th>
                    <th scope="col">Made</th>
                  </tr>
                </thead>
                <tbody>
                  {endpoints.map((one) => (
                    <Row key={one.id} endpoint={one} now={now} onOpen={() => onPlace(one.id)} />
                  ))}
                </tbody>
              </table>
            </div>
          )
        }
      </Fetched>
      {adding && (
        <AddDialog
          api={api}
          project={project.id}
          everywhere={me.project_id === null}
          onClose={() => setAdding(false)}
          onAdd={add}
        />
      )}
      {secret !== null && <SecretDialog secret={secret} notify={notify} onClose={() => setSecret(null)} />}
    </Card>
  );
}

function Row({
  endpoint,
  now,
  onOpen,
}: {
  readonly endpoint: Webhook;
  readonly now: number;
  readonly onOpen: () => void;
}) {
  const { tone, words } = stateOf(endpoint);
  return (
    <tr className="opens" data-testid={`endpoint-${endpoint.id}`}>
      <th scope="row" className="wraps">
        <button className="link wrapping" onClick={onOpen}>
          {endpoint.url}
        </button>
        {endpoint.description && <p className="muted small">{endpoint.description}</p>}
      </th>
      <td className="text">
        <span className={`badge ${tone}`}>{words}</span>
      </td>
      <td className="text wraps muted small">
        {endpoint.types.length === 0 ? "all events" : endpoint.types.join(", ")}
        {endpoint.project_id === null && " of all projects"}
      </td>
      <td>{count(endpoint.pending)}</td>
      <td className={endpoint.dead > 0 ? "down" : ""}>{count(endpoint.dead)}</td>
      <td className="muted">{ago(endpoint.created_at, now)}</td>
    </tr>
  );
}
