/** One canary or shadow: its share, what people's answers say of it, taking it back and promoting it. For operators. */
import { useState } from "react";
import type { CanaryStanding, Rollout } from "../api/types";
import { Back } from "../app/Back";
import { Card, Tile } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { closing } from "../app/act";
import { useAsked } from "../app/asked";
import { NOTHING, counted, exactly, shareOf } from "../app/figures";
import { ago, count, moment, percent } from "../app/format";
import { useNow } from "../app/hooks";
import type { ViewProps } from "../app/view";
import { DifferenceBar } from "./DifferenceBar";
import { StandingBadge, StateOf } from "./RolloutBadges";
import { EndRolloutDialog, PassRolloutDialog } from "./rolloutDialogs";
import { endRollout, rollout as fetchRollout, rulesInWords, runs } from "./rollouts";

const REFRESH_MS = 2_000;

export function RolloutView({ api, project, notify, onPlace, id }: ViewProps & { readonly id: string }) {
  const asked = useAsked(() => fetchRollout(api, project.id, id), id, REFRESH_MS);
  const [asking, setAsking] = useState<"end" | "pass" | null>(null);
  const run = closing(notify, asked.refresh, () => setAsking(null));
  return (
    <>
      <Back to="Overview" testid="back-to-overview" onBack={() => onPlace(null)} />
      <Fetched asked={asked} what="how it stands">
        {(one) => (
          <>
            <Numbers rollout={one} onEnd={() => setAsking("end")} onPass={() => setAsking("pass")} />
            {one.kind === "canary" && <Judged rollout={one} />}
            {asking === "end" && (
              <EndRolloutDialog
                rollout={one}
                onClose={() => setAsking(null)}
                onEnd={(reason) => run(endRollout(api, project.id, id, reason), "Taken back", ENDED)}
              />
            )}
            {asking === "pass" && (
              <PassRolloutDialog
                rollout={one}
                onClose={() => setAsking(null)}
                onPass={(reason) => run(api.promote(project.id, one.model_id, reason), "Promotion asked for", PASSED)}
              />
            )}
          </>
        )}
      </Fetched>
    </>
  );
}

export const ENDED = "The champion answers alone from the next request on.";
export const PASSED = "It answers all once it is warm.";

interface NumbersProps {
  readonly rollout: Rollout;
  readonly onEnd: () => void;
  readonly onPass: () => void;
}

function Numbers({ rollout, onEnd, onPass }: NumbersProps) {
  const now = useNow(10_000);
  const { kind, standing } = rollout;
  return (
    <Card
      title={kind === "canary" ? "Canary" : "Shadow"}
      testid="rollout"
      aside={
        <>
          <code>{rollout.id}</code>
          <StateOf rollout={rollout} />
          {standing && <StandingBadge standing={standing} />}
          <span className="grow" />
          {runs(rollout) && (
            <>
              <button data-testid="end-rollout" onClick={onEnd}>
                Take back
              </button>
              <button className="primary" data-testid="pass-rollout" onClick={onPass}>
                Promote
              </button>
            </>
          )}
        </>
      }
    >
      <p>
        <code>{rollout.model_id}</code> <span className="muted">beside</span> <code>{rollout.champion_id}</code>
      </p>
      <p className="muted small">
        {rollout.reason} · by {rollout.actor} · {ago(rollout.created_at, now)}
      </p>
      {rollout.error && (
        <p className="callout" data-testid="rollout-why">
          {rollout.error}
        </p>
      )}
      <div className="tiles">
        <Tile
          name="Share of the predictions"
          value={exactly(rollout.share)}
          detail={kind === "canary" ? "callers get its answers" : "it looks; callers get the champion’s answers"}
          testid="rollout-share"
        />
        <Tile
          name="Takes it since"
          value={rollout.active_at ? moment(rollout.active_at) : NOTHING}
          detail={rollout.finished_at ? `until ${moment(rollout.finished_at)}` : limitsOf(rollout)}
        />
        {standing && <StandingTiles standing={standing} />}
      </div>
    </Card>
  );
}

const limitsOf = ({ limits }: Rollout): string =>
  `taken back above ${exactly(limits.max_error_rate)} errors or ${limits.max_latency_ratio} times the time`;

function StandingTiles({ standing }: { readonly standing: CanaryStanding }) {
  const { canary, champion } = standing;
  return (
    <>
      <Tile
        name="Answers of people to it"
        value={count(canary.answers)}
        detail={`${count(canary.failed)} had to be corrected`}
        testid="canary-answers"
      />
      <Tile
        name="Answers to the champion"
        value={count(champion.answers)}
        detail={`${count(champion.failed)} had to be corrected`}
        testid="champion-answers"
      />
      <Tile
        name="It fails"
        value={shareOf(canary.rate, 1)}
        detail={`the champion ${shareOf(champion.rate, 1)}, both weighted`}
        testid="canary-rate"
      />
    </>
  );
}

/** The sequential test: its bounds hold at all looks together. */
function Judged({ rollout }: { readonly rollout: Rollout }) {
  const now = useNow(10_000);
  const { judging, standing } = rollout;
  if (judging === null) {
    return (
      <Card title="What people’s answers say" testid="judged">
        <p className="muted">They do not judge this canary; errors and latency alone take it back.</p>
      </Card>
    );
  }
  return (
    <Card title="What people’s answers say" testid="judged">
      {standing === null ? (
        <p className="muted">Nobody has looked yet: the service does so every few seconds once it takes its share.</p>
      ) : (
        <>
          <p data-testid="standing-words">{standing.words}</p>
          <p>
            It fails by <strong data-testid="standing-low">{points(standing.low)}</strong> to{" "}
            <strong data-testid="standing-high">{points(standing.high)}</strong> points more often than the champion.{" "}
            <span className="muted">Above 0: worse. Below {points(judging.margin)}: not worse.</span>
          </p>
          <DifferenceBar standing={standing} margin={judging.margin} />
          <dl className="facts-row">
            <div>
              <dt>Answers missing, about</dt>
              <dd data-testid="standing-needed">{neededInWords(standing)}</dd>
            </div>
            <div>
              <dt>Wait for people</dt>
              <dd>{count(standing.waiting)}</dd>
            </div>
            <div>
              <dt>Without an answer</dt>
              <dd>{count(standing.unanswered)}</dd>
            </div>
            <div>
              <dt>Of</dt>
              <dd>
                {counted(standing.predictions, "prediction")} until {moment(standing.until)}
              </dd>
            </div>
            <div>
              <dt>Looked at</dt>
              <dd>{ago(standing.looked_at, now)}</dd>
            </div>
          </dl>
          {standing.passed_at && runs(rollout) && (
            <p className="callout" data-testid="standing-passed">
              It passed {ago(standing.passed_at, now)} and may be promoted.
            </p>
          )}
        </>
      )}
      <ul className="muted small">
        {rulesInWords(rollout).map((rule) => (
          <li key={rule}>{rule}</li>
        ))}
        <li>Expected before it began: {percent(judging.expected)} fail.</li>
      </ul>
    </Card>
  );
}

/** -0.0812 → "−8.1" */
const points = (difference: number): string => (100 * difference).toFixed(1).replace("-", "−");

const neededInWords = ({ needed, verdict }: CanaryStanding): string =>
  needed !== null ? `${count(needed)}, if it is as good` : verdict === "going_on" ? "cannot be told" : "none";
