import { useState } from "react";
import type { Api } from "../api/client";
import { type Described, describe } from "../api/problem";
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
import { SettingsForm } from "./SettingsForm";
import { changeTriggers, triggers } from "./calls";
import { TogetherField } from "./TogetherField";
import type { Plain } from "./policy";
import { refusalOf } from "./settings";
import { changedRules, fitting } from "./together";
import { TRIGGER_SECTIONS } from "./triggerSettings";

const REFRESH_MS = 60_000;

type Props = Pick<ViewProps, "notify"> & { readonly api: Api; readonly me: Me; readonly project: string };

/** When a project retrains by itself. */
export function TriggersCard({ api, me, project, notify }: Props) {
  const asked = useAsked(() => triggers(api, project), project, REFRESH_MS);
  return (
    <Fetched asked={asked} what="the triggers">
      {({ rules }) => <Rules {...{ api, me, project, notify, rules }} onSaved={asked.refresh} />}
    </Fetched>
  );
}

interface RulesProps extends Props {
  readonly rules: Triggers["rules"];
  readonly onSaved: () => Promise<void>;
}

function Rules({ api, me, project, notify, rules, onSaved }: RulesProps) {
  const [changes, setChanges] = useUnsaved(me, project, "triggers", isRecord);
  const [problem, setProblem] = useState<Described | null>(null);
  const [busy, setBusy] = useState(false);
  const draft: Plain = fitting({ ...rules, ...changes });
  const changed = changedRules(rules, draft);
  const differing = Object.keys(changed);
  const startAgain = () => {
    setChanges(null);
    setProblem(null);
  };
  const save = async () => {
    const refusal = refusalOf(TRIGGER_SECTIONS, draft);
    if (refusal) return setProblem(refusal);
    setBusy(true);
    try {
      await changeTriggers(api, project, changed);
      const detail = `${counted(differing.length, "value")} changed.`;
      notify({ tone: "info", title: "Triggers changed", detail, hint: "" });
      await onSaved();
      startAgain();
    } catch (error) {
      setProblem(describe(error));
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
      <SettingsForm
        sections={TRIGGER_SECTIONS}
        document={draft}
        onChange={(place, value) => setChanges({ ...changes, [place]: value })}
      />
      <TogetherField rules={draft} onChange={(when) => setChanges({ ...changes, when })} />
    </Card>
  );
}
