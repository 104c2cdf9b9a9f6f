import { useState } from "react";
import type { Api } from "../api/client";
import { type Described, ProblemError, describe } from "../api/problem";
import type { Me, Triggers } from "../api/types";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { NotSaved } from "../app/NotSaved";
import { ProblemNote } from "../app/ProblemNote";
import { useAsked } from "../app/asked";
import { counted } from "../app/figures";
import { useUnsaved } from "../app/useUnsaved";
import type { ViewProps } from "../app/view";
import { isRecord } from "../review/keep";
import { DifferenceList } from "./DifferenceList";
import { ScheduleField } from "./ScheduleField";
import { SettingsForm } from "./SettingsForm";
import { TogetherField } from "./TogetherField";
import { changeTriggers, triggers } from "./calls";
import { type Difference, type Plain, differences } from "./policy";
import { SCHEDULE, problemWithSchedule, refusedSchedule, scheduleIn } from "./schedule";
import { refusalOf, wrongIn } from "./settings";
import { changedRules, fitting } from "./together";
import { TRIGGER_SECTIONS } from "./triggerSettings";

const REFRESH_MS = 60_000;

type Props = Pick<ViewProps, "notify"> & { readonly api: Api; readonly me: Me; readonly project: string };

/** When a project retrains by itself. */
export function TriggersCard({ api, me, project, notify }: Props) {
  const asked = useAsked(() => triggers(api, project), project, REFRESH_MS);
  return (
    <Fetched asked={asked} what="the triggers">
      {(found) => <Rules {...{ api, me, project, notify, found }} onRefresh={asked.refresh} />}
    </Fetched>
  );
}

interface RulesProps extends Props {
  readonly found: Triggers;
  readonly onRefresh: () => Promise<void>;
}

/** What was typed, and the triggers that it was begun from. */
interface Typed {
  readonly changes: Plain;
  readonly from: Pick<Triggers, "rules" | "version">;
}

const isTyped = (value: unknown): value is Typed =>
  isRecord(value) && isRecord(value["changes"]) && isRecord(value["from"]) && isRecord(value["from"]["rules"]);

function Rules({ api, me, project, notify, found, onRefresh }: RulesProps) {
  const { rules, version, next_times } = found;
  const [typed, setTyped] = useUnsaved(me, project, "triggers", isTyped);
  const [problem, setProblem] = useState<Described | null>(null);
  const [refused, setRefused] = useState<string | null>(null); // of the schedule, by the service
  const [busy, setBusy] = useState(false);
  const { changes, from } = typed ?? { changes: {}, from: { rules, version } };
  const draft: Plain = fitting({ ...rules, ...changes });
  const schedule = scheduleIn(draft.schedule);
  const changed = changedRules(rules, draft);
  const differing = Object.keys(changed);
  const type = (place: string, value: unknown) => setTyped({ changes: { ...changes, [place]: value }, from });
  const startAgain = () => {
    setTyped(null);
    setProblem(null);
    setRefused(null);
  };
  const save = async () => {
    const wrong = problemWithSchedule(schedule);
    const refusal = refusalOf([...wrongIn(TRIGGER_SECTIONS, draft), ...(wrong ? [`${SCHEDULE}: ${wrong}`] : [])]);
    if (refusal) return setProblem(refusal);
    setBusy(true);
    setProblem(null);
    try {
      await changeTriggers(api, project, { ...changed, version: from.version });
      const detail = `${counted(differing.length, "value")} changed.`;
      notify({ tone: "info", title: "Triggers changed", detail, hint: "" });
      await onRefresh();
      startAgain();
    } catch (error) {
      setProblem(describe(error));
      setRefused(refusedSchedule(error));
      if (error instanceof ProblemError && error.status === 409) await onRefresh();
    }
    setBusy(false);
  };
  return (
    <Card
      title="Cycles by themselves"
      testid="trigger-settings"
      aside={
        <>
          <NotSaved shown={differing.length > 0} />
          <span className="grow" />
          <button disabled={differing.length === 0 || busy} onClick={startAgain}>
            Start again
          </button>
          <button
            className="primary"
            data-testid="save-triggers"
            disabled={differing.length === 0 || busy}
            onClick={() => void save()}
          >
            Save
          </button>
        </>
      }
    >
      <p className="muted">When the project trains again without being asked. What is waited for shows at Overview.</p>
      {problem && <ProblemNote problem={problem} testid="triggers-refused" />}
      {differing.length > 0 && from.version !== version && (
        <Meanwhile
          lines={differences(from.rules, rules)}
          onGoOn={() => {
            setTyped({ changes, from: { rules, version } });
            setProblem(null);
          }}
        />
      )}
      <SettingsForm sections={TRIGGER_SECTIONS} document={draft} onChange={type}>
        <ScheduleField
          schedule={schedule}
          times={"schedule" in changed ? null : next_times}
          refused={refused}
          onChange={(next) => {
            type("schedule", next);
            setRefused(null);
          }}
        />
      </SettingsForm>
      <TogetherField rules={draft} onChange={(when) => type("when", when)} />
    </Card>
  );
}

/** What others have changed since the form was begun, which is not written over unseen. */
function Meanwhile({ lines, onGoOn }: { readonly lines: readonly Difference[]; readonly onGoOn: () => void }) {
  return (
    <div className="callout warn" data-testid="triggers-meanwhile">
      <p>Somebody has changed since you began:</p>
      <DifferenceList lines={lines} testid="triggers-changes" />
      <button data-testid="go-on" onClick={onGoOn}>
        Go on with what I typed
      </button>
    </div>
  );
}
