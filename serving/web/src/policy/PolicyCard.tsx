/** The policy as a form or a document, two views of one draft: what differs is shown, and saved as the next version. */
import { useState } from "react";
import type { Api } from "../api/client";
import { type Described, describe } from "../api/problem";
import type { Me, Policy } from "../api/types";
import { Card } from "../app/Card";
import { NotSaved } from "../app/NotSaved";
import { ProblemNote } from "../app/ProblemNote";
import { counted } from "../app/figures";
import { useUnsaved } from "../app/useUnsaved";
import type { ViewProps } from "../app/view";
import { isRecord } from "../review/keep";
import { type Plan, SavePolicyDialog } from "./SavePolicyDialog";
import { SettingsForm } from "./SettingsForm";
import { change } from "./calls";
import { type Plain, changed, changesTo, differences, documentOf, read } from "./policy";
import { POLICY_SECTIONS } from "./policySettings";
import { refusalOf, withValue, wrongIn } from "./settings";
import "./settings.css";

type View = "form" | "document";

interface Props {
  readonly api: Api;
  readonly me: Me;
  readonly project: string;
  readonly policy: Policy;
  readonly notify: ViewProps["notify"];
  readonly onSent: () => Promise<void>;
}

/** What was typed, and the policy that it was begun from. */
interface Typed {
  readonly text: string;
  readonly from: Policy;
}

const isTyped = (value: unknown): value is Typed =>
  isRecord(value) && typeof value["text"] === "string" && isRecord(value["from"]);

export function PolicyCard({ api, me, project, policy, notify, onSent }: Props) {
  const [view, setView] = useState<View>("form");
  const [typed, setTyped] = useUnsaved(me, project, "policy", isTyped);
  const [plan, setPlan] = useState<Plan | null>(null);
  const [problem, setProblem] = useState<Described | null>(null);
  const [busy, setBusy] = useState(false);
  const { text, from } = typed ?? { text: textOf(documentOf(policy)), from: policy };
  const found = read(text);

  const startAgain = () => {
    setTyped(null);
    setProblem(null);
  };
  const run = async (work: () => Promise<void>) => {
    setBusy(true);
    setPlan(null);
    setProblem(null);
    try {
      await work();
    } catch (error) {
      setProblem(describe(error));
    }
    setBusy(false);
  };
  const look = () =>
    run(async () => {
      if ("problem" in found) return setProblem(found.problem);
      const refusal = view === "form" ? refusalOf(wrongIn(POLICY_SECTIONS, changed(from, found.document))) : null;
      if (refusal) return setProblem(refusal);
      const { policy: newest } = await api.project(project); // somebody else may have changed it
      const changes = changesTo(newest, changesTo(from, found.document));
      const lines = differences(documentOf(newest), changed(newest, changes));
      if (lines.length > 0) return setPlan({ changes, lines, newest, from });
      notify({ tone: "info", title: "Nothing to change", detail: `Version ${newest.version} says all of it.`, hint: "" });
    });
  const save = ({ changes, lines, newest }: Plan) =>
    run(async () => {
      const { version } = await change(api, project, changes);
      const detail = `${counted(lines.length, "value")} changed.`;
      const hint = version > newest.version + 1 ? "Somebody else changed it at the same moment." : "";
      notify({ tone: "info", title: `Policy version ${version}`, detail, hint });
      await onSent();
      startAgain();
    });

  return (
    <Card
      title="Policy"
      testid="policy"
      aside={
        <>
          <span className="badge" data-testid="policy-version">
            version {policy.version}
          </span>
          <NotSaved shown={typed !== null} />
          <Switcher view={view} onView={setView} />
          <span className="grow" />
          <button disabled={typed === null || busy} onClick={startAgain}>
            Start again from version {policy.version}
          </button>
          <button
            className="primary"
            data-testid="save-policy"
            disabled={typed === null || busy}
            onClick={() => void look()}
          >
            Save…
          </button>
        </>
      }
    >
      {problem && <ProblemNote problem={problem} testid="policy-refused" />}
      {view === "form" ? (
        <PolicyForm found={found} from={from} onDocument={(document) => setTyped({ text: textOf(document), from })} />
      ) : (
        <>
          <p className="muted">
            JSON. What you leave out stays; a list or a map is replaced as a whole. What differs is shown before it is
            saved.
          </p>
          <textarea
            className="document"
            aria-label="The policy as a document"
            data-testid="policy-text"
            spellCheck={false}
            value={text}
            onChange={(event) => setTyped({ text: event.target.value, from })}
          />
        </>
      )}
      {plan && <SavePolicyDialog plan={plan} onSure={() => void save(plan)} onClose={() => setPlan(null)} />}
    </Card>
  );
}

function Switcher({ view, onView }: { readonly view: View; readonly onView: (view: View) => void }) {
  const one = (to: View, name: string) => (
    <button type="button" aria-pressed={view === to} data-testid={`policy-${to}`} onClick={() => onView(to)}>
      {name}
    </button>
  );
  return (
    <span className="switcher" role="group" aria-label="View of the policy">
      {one("form", "Form")}
      {one("document", "Document")}
    </span>
  );
}

interface FormProps {
  readonly found: ReturnType<typeof read>;
  /** What the draft leaves out is as here. */
  readonly from: Policy;
  readonly onDocument: (document: Plain) => void;
}

function PolicyForm({ found, from, onDocument }: FormProps) {
  if ("problem" in found) {
    const hint = "Mend it at Document, or start again.";
    return <ProblemNote problem={{ ...found.problem, hint }} testid="no-form" />;
  }
  const { document } = found;
  return (
    <>
      <p className="muted">
        What is changed most often; all else stands in the document. What differs is shown before it is saved, and holds
        for what comes then.
      </p>
      <SettingsForm
        sections={POLICY_SECTIONS}
        document={changed(from, document)}
        onChange={(place, value) => onDocument(withValue(document, place, value))}
      />
    </>
  );
}

const textOf = (document: Plain): string => JSON.stringify(document, null, 2);
