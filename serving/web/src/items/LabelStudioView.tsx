/** Tasks that people do in Label Studio: what is there, sending some, fetching answers, calling back. For operators. */
import { type FormEvent, useState } from "react";
import { type Described, describe } from "../api/problem";
import type { LabelStudioProblem, LabelStudioStatus } from "../api/types";
import { Confirm } from "../app/Asking";
import { Back } from "../app/Back";
import { Card } from "../app/Card";
import { Dialog } from "../app/Dialog";
import { Fetched } from "../app/Fetched";
import { ProblemNote } from "../app/ProblemNote";
import { useAsked } from "../app/asked";
import { counted } from "../app/figures";
import { count } from "../app/format";
import type { ViewProps } from "../app/view";
import {
  LINK_STATES,
  type Outcome,
  type Typed,
  pull,
  push,
  pushBodyOf,
  release,
  status,
  usualTitle,
  waitingIn,
} from "./labelStudio";

const REFRESH_MS = 10_000;

type Doing = "push" | "pull" | "release";

/** What is under way, or came of what was done last. */
type Work =
  | { readonly state: "idle" }
  | { readonly state: "under way"; readonly doing: Doing; readonly words: string }
  | { readonly state: "done"; readonly outcome: Outcome }
  | { readonly state: "failed"; readonly problem: Described };

interface Props extends Pick<ViewProps, "api" | "project" | "onPlace"> {
  /** Of the list of items: what is sent at first. */
  readonly query: string;
}

export function LabelStudioView({ api, project, onPlace, query }: Props) {
  const asked = useAsked(() => status(api, project.id), project.id, REFRESH_MS);
  const [work, setWork] = useState<Work>({ state: "idle" });
  const [releasing, setReleasing] = useState(false);
  const busy = work.state === "under way";

  const run = async (doing: Doing, begin: (onProgress: (words: string) => void) => Promise<Outcome>) => {
    setReleasing(false);
    setWork({ state: "under way", doing, words: BEGINNING[doing] });
    try {
      const outcome = await begin((words) => setWork({ state: "under way", doing, words }));
      setWork({ state: "done", outcome });
    } catch (error) {
      setWork({ state: "failed", problem: describe(error) });
    }
    await asked.refresh();
  };

  return (
    <>
      <Back to="Items" testid="back-to-items" onBack={() => onPlace(null)} />
      <Card
        title="Label Studio"
        testid="label-studio"
        aside={
          <>
            <span className="grow" />
            <button
              data-testid="release-tasks"
              disabled={busy || asked.value === null || waitingIn(asked.value) === 0}
              onClick={() => setReleasing(true)}
            >
              Call back
            </button>
          </>
        }
      >
        <p className="muted">
          Tasks go to people in Label Studio with what the model predicts; nobody gets them here meanwhile. Their
          answers count as all others do.
        </p>
        <Fetched asked={asked} what="what is there">
          {(known) => <Places known={known} />}
        </Fetched>
        <WorkState work={work} />
      </Card>
      <div className="columns">
        <PushCard
          project={project.id}
          query={query}
          busy={busy}
          onPush={(body) => void run("push", (onProgress) => push(api, project.id, body, onProgress))}
        />
        <PullCard
          busy={busy}
          onPull={(edits) => void run("pull", (onProgress) => pull(api, project.id, edits, onProgress))}
        />
      </div>
      {asked.value && asked.value.problems.length > 0 && (
        <Card title="Answers that were not taken" testid="label-studio-problems">
          <Problems problems={asked.value.problems} />
        </Card>
      )}
      {releasing && asked.value && (
        <ReleaseDialog
          waiting={waitingIn(asked.value)}
          onClose={() => setReleasing(false)}
          onRelease={() => void run("release", (onProgress) => release(api, project.id, onProgress))}
        />
      )}
    </>
  );
}

const BEGINNING: Record<Doing, string> = { push: "Sending…", pull: "Fetching answers…", release: "Calling back…" };

function Places({ known }: { readonly known: LabelStudioStatus }) {
  if (known.places.length === 0) return <p data-testid="nothing-there">Nothing was sent yet.</p>;
  return (
    <div className="scroll">
      <table className="figures" data-testid="label-studio-places">
        <thead>
          <tr>
            <th scope="col">Project there</th>
            {LINK_STATES.map((state) => (
              <th key={state} scope="col">
                {STATE_NAMES[state]}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {known.places.map(({ address, counts }) => (
            <tr key={address}>
              <th scope="row">
                <Outside address={address} />
              </th>
              {LINK_STATES.map((state) => (
                <td key={state} data-testid={`count-${state}`}>
                  {count(counts[state] ?? 0)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const STATE_NAMES: Record<(typeof LINK_STATES)[number], string> = {
  sending: "Being sent",
  out: "Wait there",
  answered: "Answered",
  skipped: "Skipped",
  refused: "Refused",
  released: "Called back",
};

function Outside({ address }: { readonly address: string }) {
  return (
    <a href={address} target="_blank" rel="noreferrer">
      {address}
    </a>
  );
}

function WorkState({ work }: { readonly work: Work }) {
  switch (work.state) {
    case "idle":
      return null;
    case "under way":
      return (
        <p className="callout" role="status">
          {work.words}
        </p>
      );
    case "failed":
      return <ProblemNote problem={work.problem} testid="label-studio-error" />;
    case "done":
      return (
        <div className="callout" role="status" data-testid="label-studio-done">
          <p>
            {work.outcome.words} {work.outcome.address && <Outside address={work.outcome.address} />}
          </p>
          <Problems problems={work.outcome.problems} />
        </div>
      );
  }
}

function Problems({ problems }: { readonly problems: readonly LabelStudioProblem[] }) {
  if (problems.length === 0) return null;
  return (
    <ul className="lines">
      {problems.map(({ task_id, remote, why }, index) => (
        <li key={`${task_id} ${index}`}>
          <code className="kind">{task_id || "the project"}</code>
          {remote !== null && <span className="muted small kind">{remote} there</span>}
          <span className="grow">{why}</span>
        </li>
      ))}
    </ul>
  );
}

// --- what can be done -----------------------------------------------------------------------------------

interface PushProps {
  readonly project: string;
  readonly query: string;
  readonly busy: boolean;
  readonly onPush: (body: NonNullable<ReturnType<typeof pushBodyOf>>) => void;
}

function PushCard({ project, query, busy, onPush }: PushProps) {
  const [typed, setTyped] = useState<Typed>({ title: usualTitle(project), query, count: "100", stage: "" });
  const type = (changes: Partial<Typed>) => setTyped({ ...typed, ...changes });
  const body = pushBodyOf(typed);
  const send = (event: FormEvent) => {
    event.preventDefault();
    if (body && !busy) onPush(body);
  };
  return (
    <Card title="Send tasks" testid="push">
      <form className="form" onSubmit={send}>
        <div className="pair">
          <label className="field">
            <span>Project there; it is made if there is none</span>
            <input
              data-testid="push-title"
              maxLength={50}
              value={typed.title}
              onChange={(event) => type({ title: event.target.value })}
            />
          </label>
          <label className="field">
            <span>So many shall wait there for an answer</span>
            <input
              data-testid="push-count"
              type="number"
              min={1}
              max={10_000}
              value={typed.count}
              onChange={(event) => type({ count: event.target.value })}
            />
          </label>
        </div>
        <label className="field">
          <span>Of items that meet this query; empty: the most urgent tasks</span>
          <input
            data-testid="push-query"
            spellCheck={false}
            autoComplete="off"
            maxLength={4000}
            placeholder="risk > 0.6 and source = &quot;line 1&quot;"
            value={typed.query}
            onChange={(event) => type({ query: event.target.value })}
          />
        </label>
        <div className="row">
          <label className="field grow">
            <span>Stage</span>
            <select
              data-testid="push-stage"
              value={typed.stage}
              onChange={(event) => type({ stage: event.target.value as Typed["stage"] })}
            >
              <option value="">any</option>
              <option value="annotate">annotate alone</option>
              <option value="audit">audit alone</option>
            </select>
          </label>
        </div>
        <footer className="row">
          <span className="grow" />
          <button className="primary" data-testid="push-tasks" disabled={busy || body === null}>
            Send
          </button>
        </footer>
      </form>
    </Card>
  );
}

function PullCard({ busy, onPull }: { readonly busy: boolean; readonly onPull: (takeEdits: boolean) => void }) {
  const [edits, setEdits] = useState(false);
  return (
    <Card title="Fetch answers" testid="pull">
      <p className="muted">
        Takes what is new there, each answer once. One that cannot be taken is told with what to do.
      </p>
      <label className="check">
        <input
          type="checkbox"
          data-testid="take-edits"
          checked={edits}
          onChange={(event) => setEdits(event.target.checked)}
        />
        <span>Answers that were changed there after they were taken become the next version</span>
      </label>
      <footer className="row">
        <span className="grow" />
        <button className="primary" data-testid="pull-answers" disabled={busy} onClick={() => onPull(edits)}>
          Fetch
        </button>
      </footer>
    </Card>
  );
}

interface ReleaseProps {
  readonly waiting: number;
  readonly onRelease: () => void;
  readonly onClose: () => void;
}

function ReleaseDialog({ waiting, onRelease, onClose }: ReleaseProps) {
  return (
    <Dialog title="Call tasks back" onClose={onClose} onSubmit={onRelease} testid="release-dialog">
      <p>
        {counted(waiting, "task waits", "tasks wait")} in Label Studio. Those without an answer are deleted there, and
        people get them here again. What has an answer stays until it is fetched.
      </p>
      <Confirm name="Call back" disabled={false} onClose={onClose} />
    </Dialog>
  );
}
