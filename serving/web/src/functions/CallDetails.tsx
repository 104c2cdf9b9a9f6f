import type { Api } from "../api/client";
import { Fetched } from "../app/Fetched";
import { useAsked } from "../app/asked";
import { counted } from "../app/figures";
import { moment } from "../app/format";
import { called } from "./calls";
import { CALL_STATES } from "./runs";

const REFRESH_MS = 5_000;

interface Props {
  readonly api: Api;
  readonly project: string;
  readonly call: string;
}

/** What has come of a call by now, after all its tries. */
export function CallDetails({ api, project, call }: Props) {
  const asked = useAsked(() => called(api, project, call), call, REFRESH_MS);
  return (
    <Fetched asked={asked} what="the call">
      {({ state, attempts, error, messages, created_at, due_at, finished_at }) => (
        <>
          <p className="small">
            <span className={`badge ${CALL_STATES[state].tone}`} data-testid="call-state">
              {CALL_STATES[state].words}
            </span>{" "}
            after {counted(attempts, "try", "tries")} <code className="muted">{call}</code>
          </p>
          <p className="muted small">
            Called {moment(created_at)},{" "}
            {finished_at === null ? `next try ${moment(due_at)}` : `over ${moment(finished_at)}`}.
          </p>
          {error && <p className="small">{error}</p>}
          {messages.map((message, number) => (
            <p key={number} className="small">
              {message}
            </p>
          ))}
        </>
      )}
    </Fetched>
  );
}
