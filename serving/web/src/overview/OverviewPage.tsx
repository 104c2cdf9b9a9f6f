/** For operators: how the project does, what the newest cycle found, which model serves. */
import { useState } from "react";
import { describe } from "../api/problem";
import type { Promotion, Rollout } from "../api/types";
import { type Act, acting, closing } from "../app/act";
import { Card } from "../app/Card";
import { FirstSteps } from "../app/FirstSteps";
import { useAsked } from "../app/asked";
import { useNow } from "../app/hooks";
import type { ViewProps } from "../app/view";
import "../app/cards.css";
import { abilitiesOf } from "../session/abilities";
import { fragmentOf } from "../session/route";
import { Activity } from "./Activity";
import { CycleCard } from "./CycleCard";
import { CycleHistory } from "./CycleHistory";
import { CycleView } from "./CycleView";
import { cancelCycle, hasTruth, openReport } from "./cycles";
import { DriftCard } from "./DriftCard";
import { ENDED, PASSED, RolloutView } from "./RolloutView";
import { RolloutsCard } from "./RolloutsCard";
import { ModelList } from "./ModelList";
import { needsFirstSteps, refusedFor } from "./firstSteps";
import { CancelCycleDialog, PromoteDialog, RollbackDialog, StartCycleDialog } from "./dialogs";
import { EndRolloutDialog, PassRolloutDialog, StartRolloutDialog } from "./rolloutDialogs";
import { contenders, endRollout, freeKinds, isRollout, startRollout } from "./rollouts";
import { Tiles } from "./Tiles";
import { TriggersCard } from "./TriggersCard";
import { WebhooksCard } from "./WebhooksCard";
import "./overview.css";
import { useOverview } from "./useOverview";

const TRUTH_REFRESH_MS = 5_000;

type Asking =
  | { kind: "cycle" }
  | { kind: "cancel"; cycle: string }
  | { kind: "rollback" }
  | { kind: "promote"; model: string }
  | { kind: "rollout" }
  | { kind: "end"; rollout: Rollout }
  | { kind: "pass"; rollout: Rollout };

/** All of it, or the cycle or rollout that the address names; those are for operators. */
export default function OverviewPage(props: ViewProps) {
  const { me, place } = props;
  if (place === null || !abilitiesOf(me.role).operate) return <Everything {...props} />;
  const View = isRollout(place) ? RolloutView : CycleView;
  return (
    <div className="overview">
      <View key={place} {...props} id={place} />
    </div>
  );
}

function Everything({ api, me, project, notify }: ViewProps) {
  const operates = abilitiesOf(me.role).operate;
  const { overview, refresh } = useOverview(api, project.id, operates);
  const trainable = useAsked(
    () => (operates ? hasTruth(api, project.id) : Promise.resolve(false)),
    project.id,
    TRUTH_REFRESH_MS,
  );
  const [asking, setAsking] = useState<Asking | null>(null);
  const now = useNow(1000);
  const { summary, cycles, models, promotions, rollouts, problem } = overview;
  const hrefOf = (place: string): string => fragmentOf(project.id, "overview", place);
  const newest = cycles[0] ?? null;

  const act: Act = (...what) => {
    setAsking(null);
    return acting(notify, refresh)(...what);
  };
  const send = closing(notify, refresh, () => setAsking(null));

  if (!summary) {
    return (
      <div className="calm" role="status">
        {problem ? (
          <>
            <h2>{problem.title}</h2>
            <p>{problem.detail}</p>
            <p className="muted">{problem.hint}</p>
          </>
        ) : (
          <p className="muted">Fetching the figures…</p>
        )}
      </div>
    );
  }
  return (
    <div className="overview">
      {problem && (
        <p className="callout warn" role="status">
          {problem.title}: the figures below may be old. {problem.hint}
        </p>
      )}
      {operates && needsFirstSteps({ champion: summary.champion_id, cycles, promotions }) && (
        <Card title="First steps" testid="begin">
          <FirstSteps
            project={project.id}
            operates
            known={{
              refused: newest?.state === "refused",
              models: models.length > 0,
              onStart: trainable.value === true ? () => setAsking({ kind: "cycle" }) : null,
            }}
          />
        </Card>
      )}
      <Tiles summary={summary} policy={project.policy} operates={operates} />
      <div className="columns">
        <div className="column">
          <CycleCard
            cycle={newest}
            now={now}
            operate={
              operates
                ? {
                    onStart: () => setAsking({ kind: "cycle" }),
                    trainable: trainable.value !== false,
                    onReport: (cycle) =>
                      void openReport(api, project.id, cycle).catch((error: unknown) =>
                        notify({ tone: "error", ...describe(error) }),
                      ),
                    onCancel: (cycle) => setAsking({ kind: "cancel", cycle }),
                    hrefOf,
                  }
                : null
            }
          />
          {operates && <TriggersCard api={api} project={project.id} />}
          <CycleHistory cycles={cycles.slice(1)} now={now} hrefOf={operates ? hrefOf : null} />
          <DriftCard api={api} project={project.id} now={now} act={operates ? act : null} />
        </div>
        <div className="column">
          <ModelList
            models={models}
            promotions={promotions}
            now={now}
            operate={
              operates
                ? {
                    onPromote: (model) => setAsking({ kind: "promote", model }),
                    onRollback: () => setAsking({ kind: "rollback" }),
                  }
                : null
            }
          />
          <RolloutsCard
            rollouts={rollouts}
            now={now}
            startable={contenders(models).length > 0 && freeKinds(rollouts).length > 0}
            operate={
              operates
                ? {
                    onStart: () => setAsking({ kind: "rollout" }),
                    onPass: (rollout) => setAsking({ kind: "pass", rollout }),
                    onEnd: (rollout) => setAsking({ kind: "end", rollout }),
                    hrefOf,
                  }
                : null
            }
          />
          {operates && <WebhooksCard api={api} project={project.id} now={now} act={act} />}
          {operates && <Activity events={overview.events} now={now} />}
        </div>
      </div>
      {asking?.kind === "cycle" && (
        <StartCycleDialog
          onClose={() => setAsking(null)}
          onStart={(body) => send(api.startCycle(project.id, body), "Cycle started", "Its progress shows here.")}
        />
      )}
      {asking?.kind === "cancel" && (
        <CancelCycleDialog
          cycle={asking.cycle}
          onClose={() => setAsking(null)}
          onCancel={(reason) =>
            send(cancelCycle(api, project.id, asking.cycle, reason), "Cycle cancelled", "The champion stays.")
          }
        />
      )}
      {asking?.kind === "promote" && (
        <PromoteDialog
          model={asking.model}
          refusedFor={refusedFor(asking.model, models, cycles)}
          onClose={() => setAsking(null)}
          onPromote={(reason) =>
            send(
              api.promote(project.id, asking.model, reason),
              "Promotion asked for",
              "It serves once it is deployed and warm.",
            )
          }
        />
      )}
      {asking?.kind === "rollback" && (
        <RollbackDialog
          to={rollbackTarget(promotions)}
          onClose={() => setAsking(null)}
          onRollback={(reason) =>
            send(api.rollback(project.id, reason), "Rollback asked for", "The model before serves once it is warm.")
          }
        />
      )}
      {asking?.kind === "rollout" && (
        <StartRolloutDialog
          models={contenders(models)}
          kinds={freeKinds(rollouts)}
          onClose={() => setAsking(null)}
          onStart={(body) =>
            send(
              startRollout(api, project.id, body),
              `${TITLES[body.kind]} asked for`,
              "It takes its share once it is warm.",
            )
          }
        />
      )}
      {asking?.kind === "end" && (
        <EndRolloutDialog
          rollout={asking.rollout}
          onClose={() => setAsking(null)}
          onEnd={(reason) => send(endRollout(api, project.id, asking.rollout.id, reason), "Taken back", ENDED)}
        />
      )}
      {asking?.kind === "pass" && (
        <PassRolloutDialog
          rollout={asking.rollout}
          onClose={() => setAsking(null)}
          onPass={(reason) =>
            send(api.promote(project.id, asking.rollout.model_id, reason), "Promotion asked for", PASSED)
          }
        />
      )}
    </div>
  );
}

const TITLES: Record<Rollout["kind"], string> = { canary: "Canary", shadow: "Shadow" };

/** The champion before the present one, as far as the list of promotions tells. */
const rollbackTarget = (promotions: readonly Promotion[]): string | null =>
  promotions.find((promotion) => promotion.state === "active")?.previous_id ?? null;
