/** What was sent or is to be sent to an endpoint, newest first; what was given up is sent again at a click. */
import { Fragment, useState } from "react";
import type { Api } from "../api/client";
import type { Delivery, Webhook } from "../api/types";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { SureDialog } from "../app/SureDialog";
import type { Act } from "../app/act";
import { usePages } from "../app/asked";
import { ago, count } from "../app/format";
import { useNow } from "../app/hooks";
import { DeliveryDetails } from "./DeliveryDetails";
import { deliveriesAfter, replay } from "./calls";
import { TONES, stateInWords, triesInWords } from "./words";

interface Props {
  readonly api: Api;
  readonly endpoint: Webhook;
  readonly act: Act;
}

type State = Delivery["state"];

const REFRESH_MS = 3_000;
const FILTERS: Record<State | "all", string> = {
  all: "all",
  dead: "dead: given up",
  pending: "to be sent",
  delivered: "delivered",
};

export function DeliveriesCard({ api, endpoint, act }: Props) {
  const [only, setOnly] = useState<State | "all">(endpoint.dead > 0 ? "dead" : "all");
  const [opened, setOpened] = useState<string | null>(null);
  const [asking, setAsking] = useState(false);
  const now = useNow(5_000);
  const asked = usePages(
    async (after) => {
      const page = await deliveriesAfter(api, endpoint.id, only === "all" ? null : only, after);
      return { rows: page.deliveries, next: page.next };
    },
    `${endpoint.id}/${only}`,
    REFRESH_MS,
  );
  const again = async (delivery: Delivery) => {
    await act(replay(api, endpoint.id, delivery.message_id), "Sent again", "Under the same id; its state shows here.");
    await asked.refresh();
  };
  const allAgain = async () => {
    setAsking(false);
    await act(api.replayDead(endpoint.id), "Replayed", "All that were dead are sent again.");
    await asked.refresh();
  };
  return (
    <Card
      title="Deliveries"
      testid="deliveries"
      aside={
        <>
          <span className="grow" />
          <select
            aria-label="Which deliveries"
            data-testid="deliveries-state"
            value={only}
            onChange={(event) => setOnly(event.target.value as State | "all")}
          >
            {Object.entries(FILTERS).map(([state, words]) => (
              <option key={state} value={state}>
                {words}
              </option>
            ))}
          </select>
          <button
            data-testid="replay-all"
            disabled={endpoint.dead === 0 || !endpoint.enabled}
            title={endpoint.enabled ? "" : "Resume it first"}
            onClick={() => setAsking(true)}
          >
            Replay {count(endpoint.dead)} dead
          </button>
        </>
      }
    >
      <Fetched asked={asked} what="the deliveries">
        {({ rows, next }) =>
          rows.length === 0 ? (
            <p className="muted">
              {only === "all"
                ? "Nothing yet: it gets what happens from now on. A ping tries it."
                : `None is ${FILTERS[only]}.`}
            </p>
          ) : (
            <>
              <div className="scroll">
                <table className="figures">
                  <thead>
                    <tr>
                      <th scope="col">Event</th>
                      <th scope="col" className="text">
                        State
                      </th>
                      <th scope="col">Tries</th>
                      <th scope="col" className="text">
                        Last error
                      </th>
                      <th scope="col">Made</th>
                      <th scope="col">
                        <span className="visually-hidden">What can be done</span>
                      </th>
                    </tr>
                  </thead>
                  <tbody>
                    {rows.map((delivery) => (
                      <Fragment key={delivery.message_id}>
                        <Row
                          delivery={delivery}
                          now={now}
                          opened={opened === delivery.message_id}
                          mayReplay={endpoint.enabled}
                          onOpen={() => setOpened(opened === delivery.message_id ? null : delivery.message_id)}
                          onReplay={() => void again(delivery)}
                        />
                        {opened === delivery.message_id && (
                          <tr>
                            <td colSpan={6} className="text wraps">
                              <DeliveryDetails api={api} endpoint={endpoint.id} delivery={delivery} />
                            </td>
                          </tr>
                        )}
                      </Fragment>
                    ))}
                  </tbody>
                </table>
              </div>
              {next !== null && <button onClick={asked.more}>Show older ones</button>}
            </>
          )
        }
      </Fetched>
      {asking && (
        <SureDialog
          title="Replay what is dead"
          name="Replay"
          onClose={() => setAsking(false)}
          onSure={() => void allAgain()}
        >
          <p>
            {count(endpoint.dead)} messages are sent again, each under its own id, so that a receiver that did get one
            can tell.
          </p>
        </SureDialog>
      )}
    </Card>
  );
}

interface RowProps {
  readonly delivery: Delivery;
  readonly now: number;
  readonly opened: boolean;
  readonly mayReplay: boolean;
  readonly onOpen: () => void;
  readonly onReplay: () => void;
}

function Row({ delivery, now, opened, mayReplay, onOpen, onReplay }: RowProps) {
  const { message_id, type, state, attempts, error, created_at, due_at } = delivery;
  return (
    <tr data-testid={`delivery-${message_id}`}>
      <th scope="row">
        <button className="link" aria-expanded={opened} title={message_id} onClick={onOpen}>
          {type}
        </button>
      </th>
      <td className="text">
        <span
          className={`badge ${state === "pending" && attempts > 0 ? "warn" : TONES[state]}`}
          data-testid="delivery-state"
        >
          {stateInWords(delivery)}
        </span>
      </td>
      <td>{triesInWords(attempts)}</td>
      <td className="text wraps small">
        {state === "delivered" ? "" : error}
        {state === "pending" && Date.parse(due_at) > now && <span className="muted"> next {inTime(due_at, now)}</span>}
      </td>
      <td className="muted">{ago(created_at, now)}</td>
      <td>
        {(state !== "pending" || attempts > 0) && (
          <button
            data-testid="replay"
            disabled={!mayReplay}
            title={mayReplay ? "" : "Resume the webhook first"}
            onClick={onReplay}
          >
            {AGAIN[state]}
          </button>
        )}
      </td>
    </tr>
  );
}

const AGAIN: Record<State, string> = { dead: "Replay", pending: "Send now", delivered: "Send again" };

const inTime = (time: string, now: number): string => `in ${Math.max(Math.ceil((Date.parse(time) - now) / 1000), 1)} s`;
