/** The policy as a document: what differs is shown, and saved as the next version. */
import { useState } from "react";
import type { Api } from "../api/client";
import { type Described, describe } from "../api/problem";
import type { Policy } from "../api/types";
import { Card } from "../app/Card";
import { ProblemNote } from "../app/ProblemNote";
import { counted } from "../app/figures";
import type { ViewProps } from "../app/view";
import { type Plan, SavePolicyDialog } from "./SavePolicyDialog";
import { change } from "./calls";
import { changed, changesTo, differences, documentOf, read } from "./policy";

interface Props {
  readonly api: Api;
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

export function PolicyCard({ api, project, policy, notify, onSent }: Props) {
  const [typed, setTyped] = useState<Typed | null>(null);
  const [plan, setPlan] = useState<Plan | null>(null);
  const [problem, setProblem] = useState<Described | null>(null);
  const [busy, setBusy] = useState(false);
  const { text, from } = typed ?? { text: JSON.stringify(documentOf(policy), null, 2), from: policy };

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
      const found = read(text);
      if ("problem" in found) return setProblem(found.problem);
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
      <p className="muted">
        JSON. What you leave out stays; a list or a map is replaced as a whole. What differs is shown before it is saved.
      </p>
      <textarea
        className="document"
        aria-label="The policy as a document"
        data-testid="policy-text"
        spellCheck={false}
        value={text}
        onChange={(event) => setTyped({ text: event.target.value, from })}
      />
      {problem && <ProblemNote problem={problem} testid="policy-refused" />}
      {plan && <SavePolicyDialog plan={plan} onSure={() => void save(plan)} onClose={() => setPlan(null)} />}
    </Card>
  );
}
