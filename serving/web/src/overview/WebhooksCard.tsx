/** Where events are sent, and what did not arrive. For operators. */
import { useState } from "react";
import type { Api } from "../api/client";
import type { Webhook } from "../api/types";
import type { Act } from "../app/act";
import { ago, count } from "../app/format";
import { fragmentOf } from "../session/route";
import { PauseWebhookDialog } from "../webhooks/dialogs";
import { backlogOf, stateOf } from "../webhooks/endpoints";
import { type Watched, useWebhooks } from "./useWebhooks";

interface Props {
  readonly api: Api;
  readonly project: string;
  readonly now: number;
  readonly act: Act;
}

const FAILED_SHOWN = 5;

export function WebhooksCard({ api, project, now, act }: Props) {
  const { webhooks, refresh } = useWebhooks(api, project);
  const [pausing, setPausing] = useState<Webhook | null>(null);
  const { endpoints, problem } = webhooks;

  const run = async (...what: Parameters<Act>) => {
    setPausing(null);
    await act(...what);
    await refresh();
  };
  const enable = (endpoint: Webhook) =>
    void run(api.enableWebhook(endpoint.id, true), "Resumed", "What waited is sent now.");
  const pause = (endpoint: Webhook) =>
    void run(api.enableWebhook(endpoint.id, false), "Paused", "Nothing is sent there until it is resumed.");
  const replay = (endpoint: Webhook) =>
    void run(api.replayDead(endpoint.id), "Replayed", "All that were dead are sent again.");

  return (
    <section className="card" aria-label="Webhooks" data-testid="webhooks">
      <header>
        <h2>Webhooks</h2>
        <span className="grow" />
        <a href={fragmentOf(project, "webhooks")}>All deliveries</a>
      </header>
      {problem && (
        <p className="callout warn" role="status">
          {problem.title}. {problem.hint}
        </p>
      )}
      {endpoints?.length === 0 && (
        <p className="muted">
          Nobody is told of events. <code>askance webhooks add</code> names an address that is.
        </p>
      )}
      {endpoints && endpoints.length > 0 && (
        <ul className="models">
          {endpoints.map((one) => (
            <Row
              key={one.endpoint.id}
              watched={one}
              now={now}
              onEnable={() => enable(one.endpoint)}
              onPause={() => setPausing(one.endpoint)}
              onReplay={() => replay(one.endpoint)}
            />
          ))}
        </ul>
      )}
      {pausing && (
        <PauseWebhookDialog url={pausing.url} onClose={() => setPausing(null)} onPause={() => pause(pausing)} />
      )}
    </section>
  );
}

interface RowProps {
  readonly watched: Watched;
  readonly now: number;
  readonly onEnable: () => void;
  readonly onPause: () => void;
  readonly onReplay: () => void;
}

function Row({ watched: { endpoint, troubled }, now, onEnable, onPause, onReplay }: RowProps) {
  const { tone, words } = stateOf(endpoint);
  const last = troubled[0];
  return (
    <li className="webhook" data-testid={`webhook-${endpoint.id}`}>
      <div className="row">
        <span className="grow ellipsis" title={endpoint.url}>
          {endpoint.url}
        </span>
        <span className={`badge ${tone}`} data-testid="webhook-state">
          {words}
        </span>
      </div>
      <p className="muted small">
        <span data-testid="webhook-backlog">{backlogOf(endpoint)}</span>
        {endpoint.failing_since !== null && ` · failing since ${ago(endpoint.failing_since, now)}`}
        {endpoint.description && ` · ${endpoint.description}`}
        {" · "}
        {endpoint.types.length === 0 ? "all events" : endpoint.types.join(", ")}
        {endpoint.project_id === null && " of all projects"}
      </p>
      {!endpoint.enabled && endpoint.why_disabled && <p className="small">Paused: {endpoint.why_disabled}</p>}
      {last && (
        <p className="small" data-testid="webhook-error">
          <span className="muted">Last error:</span> {last.error}
        </p>
      )}
      {troubled.length > 0 && (
        <details>
          <summary>What failed</summary>
          <ul className="lines">
            {troubled.slice(0, FAILED_SHOWN).map((delivery) => (
              <li key={delivery.message_id}>
                <span className={delivery.state === "dead" ? "badge bad" : "badge warn"}>
                  {delivery.state === "dead" ? "dead" : "to be tried again"}
                </span>
                <span className="grow muted small ellipsis" title={`${delivery.message_id}: ${delivery.error}`}>
                  {delivery.type} · {delivery.attempts} tries · {delivery.error}
                </span>
                <span className="muted small">{ago(delivery.created_at, now)}</span>
              </li>
            ))}
          </ul>
        </details>
      )}
      <div className="row">
        {endpoint.dead > 0 && (
          <button
            data-testid="replay-dead"
            disabled={!endpoint.enabled}
            title={endpoint.enabled ? "" : "Resume it first"}
            onClick={onReplay}
          >
            Replay {count(endpoint.dead)} dead
          </button>
        )}
        {endpoint.enabled ? (
          <button data-testid="pause-webhook" onClick={onPause}>
            Pause
          </button>
        ) : (
          <button data-testid="resume-webhook" onClick={onEnable}>
            Resume
          </button>
        )}
      </div>
    </li>
  );
}
