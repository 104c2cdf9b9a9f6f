/** For operators: how the project does, what the newest cycle found, which model serves. */
import { useState } from "react";
import { describe } from "../api/problem";
import type { Promotion } from "../api/types";
import { type Act, acting } from "../app/act";
import { useNow } from "../app/hooks";
import type { ViewProps } from "../app/view";
import "../app/cards.css";
import { abilitiesOf } from "../session/abilities";
import { Activity } from "./Activity";
import { CycleCard } from "./CycleCard";
import { CycleHistory } from "./CycleHistory";
import { cancelCycle, openReport } from "./cycles";
import { DriftCard } from "./DriftCard";
import { ModelList } from "./ModelList";
import { CancelCycleDialog, PromoteDialog, RollbackDialog, StartCycleDialog } from "./dialogs";
import { Tiles } from "./Tiles";
import { TriggersCard } from "./TriggersCard";
import { WebhooksCard } from "./WebhooksCard";
import "./overview.css";
import { useOverview } from "./useOverview";

type Asking =
  | { kind: "cycle" }
  | { kind: "cancel"; cycle: string }
  | { kind: "rollback" }
  | { kind: "promote"; model: string };

export default function OverviewPage({ api, me, project, notify }: ViewProps) {
  const operates = abilitiesOf(me.role).operate;
  const { overview, refresh } = useOverview(api, project.id, operates);
  const [asking, setAsking] = useState<Asking | null>(null);
  const now = useNow(1000);
  const { summary, cycles, models, promotions, problem } = overview;
  const newest = cycles[0] ?? null;

  const act: Act = (...what) => {
    setAsking(null);
    return acting(notify, refresh)(...what);
  };

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
      <Tiles summary={summary} policy={project.policy} />
      <div className="columns">
        <div className="column">
          <CycleCard
            cycle={newest}
            now={now}
            operate={
              operates
                ? {
                    onStart: () => setAsking({ kind: "cycle" }),
                    onReport: (cycle) =>
                      void openReport(api, project.id, cycle).catch((error: unknown) =>
                        notify({ tone: "error", ...describe(error) }),
                      ),
                    onCancel: (cycle) => setAsking({ kind: "cancel", cycle }),
                  }
                : null
            }
          />
          {operates && <TriggersCard api={api} project={project.id} />}
          <CycleHistory cycles={cycles.slice(1)} now={now} />
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
          {operates && <WebhooksCard api={api} project={project.id} now={now} act={act} />}
          {operates && <Activity events={overview.events} now={now} />}
        </div>
      </div>
      {asking?.kind === "cycle" && (
        <StartCycleDialog
          onClose={() => setAsking(null)}
          onStart={(body) => void act(api.startCycle(project.id, body), "Cycle started", "Its progress shows here.")}
        />
      )}
      {asking?.kind === "cancel" && (
        <CancelCycleDialog
          cycle={asking.cycle}
          onClose={() => setAsking(null)}
          onCancel={(reason) =>
            void act(cancelCycle(api, project.id, asking.cycle, reason), "Cycle cancelled", "The champion stays.")
          }
        />
      )}
      {asking?.kind === "promote" && (
        <PromoteDialog
          model={asking.model}
          onClose={() => setAsking(null)}
          onPromote={(reason) =>
            void act(
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
            void act(api.rollback(project.id, reason), "Rollback asked for", "The model before serves once it is warm.")
          }
        />
      )}
    </div>
  );
}

/** The champion before the present one, as far as the list of promotions tells. */
const rollbackTarget = (promotions: readonly Promotion[]): string | null =>
  promotions.find((promotion) => promotion.state === "active")?.previous_id ?? null;
