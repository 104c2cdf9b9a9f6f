/** Whether a canary or a shadow runs beside the champion, and how it stands. */
import type { Rollout } from "../api/types";
import { Card } from "../app/Card";
import { counted, exactly } from "../app/figures";
import { ago, count } from "../app/format";
import { StandingBadge, StateOf } from "./RolloutBadges";
import { runs } from "./rollouts";

interface Props {
  readonly rollouts: readonly Rollout[];
  readonly now: number;
  /** Whether there is a model and a kind to start. */
  readonly startable: boolean;
  /** Null for who may not. */
  readonly operate: {
    readonly onStart: () => void;
    readonly onPass: (rollout: Rollout) => void;
    readonly onEnd: (rollout: Rollout) => void;
    readonly hrefOf: (rollout: string) => string;
  } | null;
}

const EARLIER_SHOWN = 6;

export function RolloutsCard({ rollouts, now, startable, operate }: Props) {
  const running = rollouts.filter(runs);
  const earlier = rollouts.filter((one) => !runs(one)).slice(0, EARLIER_SHOWN);
  return (
    <Card
      title="Beside the champion"
      testid="rollouts"
      aside={
        operate && (
          <>
            <span className="grow" />
            <button
              data-testid="start-rollout"
              disabled={!startable}
              title={startable ? "" : "There is no other model, or both a canary and a shadow run"}
              onClick={operate.onStart}
            >
              Start a canary or shadow
            </button>
          </>
        )
      }
    >
      {running.length === 0 && (
        <p className="muted">
          Neither a canary, which answers a share of the callers, nor a shadow, which only looks.
        </p>
      )}
      {running.length > 0 && (
        <ul className="models">
          {running.map((one) => (
            <li key={one.id} className="webhook" data-testid={`rollout-${one.kind}`}>
              <div className="row">
                <strong className="kind">{one.kind}</strong>
                <code className="grow ellipsis" title={one.model_id}>
                  {one.model_id}
                </code>
                <StateOf rollout={one} />
                {one.standing && <StandingBadge standing={one.standing} />}
              </div>
              <p className="small">
                {exactly(one.share)} of the predictions · {judgedInWords(one)}
              </p>
              {one.standing && <p className="muted small">{one.standing.words}</p>}
              {operate && (
                <div className="row">
                  <a className="grow" data-testid={`open-${one.kind}`} href={operate.hrefOf(one.id)}>
                    How it stands
                  </a>
                  <button data-testid={`end-${one.kind}`} onClick={() => operate.onEnd(one)}>
                    Take back
                  </button>
                  <button data-testid={`pass-${one.kind}`} onClick={() => operate.onPass(one)}>
                    Promote
                  </button>
                </div>
              )}
            </li>
          ))}
        </ul>
      )}
      {earlier.length > 0 && (
        <details>
          <summary>Earlier ones</summary>
          <ul className="lines">
            {earlier.map((one) => (
              <li key={one.id} data-testid={`earlier-${one.id}`}>
                <StateOf rollout={one} />
                <span className="grow small">
                  {one.kind} of{" "}
                  {operate ? (
                    <a href={operate.hrefOf(one.id)}>
                      <code>{one.model_id}</code>
                    </a>
                  ) : (
                    <code>{one.model_id}</code>
                  )}
                  : {one.error || one.reason}
                </span>
                <span className="muted small">{ago(one.created_at, now)}</span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </Card>
  );
}

/** By how many answers it was judged, or why it is not. */
function judgedInWords({ kind, judging, standing }: Rollout): string {
  if (kind === "shadow") return "callers get none of its answers";
  if (judging === null) return "people’s answers do not judge it";
  if (standing === null) return "nobody has looked at its answers yet";
  const { canary, champion } = standing;
  return `judged by ${counted(canary.answers, "answer")} of people, the champion by ${count(champion.answers)}`;
}
