import type { Api } from "../api/client";
import type { Delivery } from "../api/types";
import { Fetched } from "../app/Fetched";
import { useAsked } from "../app/asked";
import { count, moment } from "../app/format";
import { delivery as fetchDelivery } from "./calls";
import { readable } from "./words";

interface Props {
  readonly api: Api;
  readonly endpoint: string;
  readonly delivery: Delivery;
}

const REFRESH_MS = 60_000;

/** Its body, and what came of each attempt. */
export function DeliveryDetails({ api, endpoint, delivery: { message_id, attempts, state } }: Props) {
  const about = `${message_id}/${attempts}/${state}`;
  const asked = useAsked(() => fetchDelivery(api, endpoint, message_id), about, REFRESH_MS);
  return (
    <Fetched asked={asked} what="the delivery">
      {(detail) => (
        <>
          <p className="muted small">
            webhook-id <code>{message_id}</code>
          </p>
          {detail.tried.length === 0 ? (
            <p className="muted small">Not tried yet.</p>
          ) : (
            <ul className="lines">
              {detail.tried.map((attempt) => (
                <li key={attempt.number}>
                  <span className={attempt.error ? "badge bad" : "badge good"}>{attempt.status ?? "no answer"}</span>
                  <span className="grow small">{attempt.error || "arrived"}</span>
                  <span className="muted small">{count(Math.round(attempt.milliseconds))} ms</span>
                  <span className="muted small">{moment(attempt.at)}</span>
                </li>
              ))}
            </ul>
          )}
          <pre className="body-text" tabIndex={0} aria-label="Body">
            {readable(detail.body)}
          </pre>
        </>
      )}
    </Fetched>
  );
}
