/** One endpoint: its state and what can be done with it, and its deliveries. */
import { useState } from "react";
import { describe } from "../api/problem";
import type { Webhook } from "../api/types";
import { Back } from "../app/Back";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { SureDialog } from "../app/SureDialog";
import { acting } from "../app/act";
import { useAsked } from "../app/asked";
import { ago, moment } from "../app/format";
import { useNow } from "../app/hooks";
import type { ViewProps } from "../app/view";
import { DeliveriesCard } from "./DeliveriesCard";
import { SecretDialog } from "./SecretDialog";
import { ping, remove, rotate } from "./calls";
import { PauseWebhookDialog } from "./dialogs";
import { backlogOf, stateOf } from "./endpoints";
import { pingInWords } from "./words";

const REFRESH_MS = 3_000;

type Asking = "pause" | "rotate" | "remove";

export function EndpointView({ api, notify, onPlace, id }: ViewProps & { readonly id: string }) {
  const asked = useAsked(() => api.webhook(id), id, REFRESH_MS);
  const [asking, setAsking] = useState<Asking | null>(null);
  const [testing, setTesting] = useState(false);
  const [secret, setSecret] = useState<string | null>(null);
  const act = acting(notify, asked.refresh);

  const test = async () => {
    setTesting(true);
    try {
      notify(pingInWords(await ping(api, id)));
    } catch (error) {
      notify({ tone: "error", ...describe(error) });
    }
    setTesting(false);
  };
  const pause = () => {
    setAsking(null);
    void act(api.enableWebhook(id, false), "Paused", "Nothing is sent there until it is resumed.");
  };
  const renew = async () => {
    setAsking(null);
    try {
      setSecret((await rotate(api, id)).secret);
    } catch (error) {
      notify({ tone: "error", ...describe(error) });
    }
    await asked.refresh();
  };
  const leave = async () => {
    setAsking(null);
    const gone = await acting(notify, async () => undefined)(
      remove(api, id),
      "Removed",
      "Nothing is sent there any more.",
    );
    if (gone) onPlace(null);
  };

  return (
    <>
      <Back to="All webhooks" testid="all-endpoints" onBack={() => onPlace(null)} />
      <Fetched asked={asked} what="the endpoint">
        {(endpoint) => (
          <>
            <State
              endpoint={endpoint}
              testing={testing}
              onTest={() => void test()}
              onResume={() => void act(api.enableWebhook(id, true), "Resumed", "What waited is sent now.")}
              onAsk={setAsking}
            />
            <DeliveriesCard api={api} endpoint={endpoint} act={act} />
            {asking === "pause" && (
              <PauseWebhookDialog url={endpoint.url} onClose={() => setAsking(null)} onPause={pause} />
            )}
            {asking === "rotate" && (
              <SureDialog
                title="A new secret"
                name="Make one"
                onClose={() => setAsking(null)}
                onSure={() => void renew()}
              >
                <p>It is shown once. For a day the old one signs too, so that the receiver can change over.</p>
              </SureDialog>
            )}
            {asking === "remove" && (
              <SureDialog
                title="Remove this webhook"
                name="Remove"
                onClose={() => setAsking(null)}
                onSure={() => void leave()}
              >
                <p>
                  With all that is still to be sent to <code>{endpoint.url}</code>, and with what is known of what was.
                </p>
              </SureDialog>
            )}
          </>
        )}
      </Fetched>
      {secret !== null && <SecretDialog secret={secret} notify={notify} onClose={() => setSecret(null)} />}
    </>
  );
}

interface StateProps {
  readonly endpoint: Webhook;
  readonly testing: boolean;
  readonly onTest: () => void;
  readonly onResume: () => void;
  readonly onAsk: (what: Asking) => void;
}

function State({ endpoint, testing, onTest, onResume, onAsk }: StateProps) {
  const now = useNow(10_000);
  const { tone, words } = stateOf(endpoint);
  return (
    <Card
      title="Webhook"
      testid="endpoint"
      aside={
        <>
          <span className={`badge ${tone}`} data-testid="endpoint-state">
            {words}
          </span>
          <span className="grow" />
          <button data-testid="ping" disabled={testing} onClick={onTest}>
            {testing ? "Sending…" : "Send a ping"}
          </button>
          {endpoint.enabled ? (
            <button data-testid="pause" onClick={() => onAsk("pause")}>
              Pause
            </button>
          ) : (
            <button className="primary" data-testid="resume" onClick={onResume}>
              Resume
            </button>
          )}
          <button data-testid="rotate" onClick={() => onAsk("rotate")}>
            New secret
          </button>
          <button data-testid="remove" onClick={() => onAsk("remove")}>
            Remove
          </button>
        </>
      }
    >
      <code className="secret">{endpoint.url}</code>
      {!endpoint.enabled && endpoint.why_disabled && (
        <p className="callout warn">Paused: {endpoint.why_disabled} What waits is kept; what happens now is not.</p>
      )}
      <dl className="facts-row">
        <div>
          <dt>Backlog</dt>
          <dd data-testid="endpoint-backlog">{backlogOf(endpoint)}</dd>
        </div>
        {endpoint.failing_since !== null && (
          <div>
            <dt>Failing since</dt>
            <dd>{ago(endpoint.failing_since, now)}</dd>
          </div>
        )}
        <div>
          <dt>Is told of</dt>
          <dd>
            {endpoint.types.length === 0 ? "all events" : endpoint.types.join(", ")}{" "}
            {endpoint.project_id === null ? "of all projects" : `of ${endpoint.project_id}`}
          </dd>
        </div>
        <div>
          <dt>Made</dt>
          <dd>
            {ago(endpoint.created_at, now)} by {endpoint.created_by}
          </dd>
        </div>
        {endpoint.description && (
          <div>
            <dt>For</dt>
            <dd>{endpoint.description}</dd>
          </div>
        )}
        {endpoint.secrets_until.length > 0 && (
          <div>
            <dt>The old secret signs until</dt>
            <dd>{endpoint.secrets_until.map(moment).join(", ")}</dd>
          </div>
        )}
      </dl>
    </Card>
  );
}
