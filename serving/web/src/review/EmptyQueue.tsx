import type { Project } from "../api/types";
import { FirstSteps } from "../app/FirstSteps";
import { useNow } from "../app/hooks";
import type { ReviewState } from "./session";
import { doneInWords } from "./tally";

interface Props {
  readonly project: Project;
  readonly state: ReviewState;
  /** Whether who reviews may set the project up. */
  readonly operates: boolean;
  readonly onCheck: () => void;
}

/** No task on screen: still asking, nothing open, or no way to ask. */
export function EmptyQueue({ project, state, operates, onCheck }: Props) {
  const now = useNow(1000);
  if (state.problem) {
    return (
      <div className="calm" role="alert">
        <h2>{state.problem.title}</h2>
        <p>{state.problem.detail}</p>
        <p className="muted">{state.problem.hint}</p>
        <button onClick={onCheck}>Try again</button>
      </div>
    );
  }
  if (!state.online) {
    return (
      <div className="calm" role="status">
        <h2>The service cannot be reached</h2>
        <p className="muted">Nothing is lost. This page keeps trying and goes on by itself.</p>
        <button onClick={onCheck}>Try now</button>
      </div>
    );
  }
  if (state.phase === "loading") {
    return (
      <div className="calm" role="status">
        <p className="muted">Fetching the next image…</p>
      </div>
    );
  }
  const seconds = Math.max(0, Math.round((now - state.checkedAt) / 1000));
  const checked = (
    <>
      <button onClick={onCheck}>Check now</button>
      <p className="muted small">{seconds < 2 ? "Checked just now" : `Checked ${seconds} s ago`}</p>
    </>
  );
  // Nobody has worked here: a tick would say that something was done.
  if (project.champion_id === null && state.done === 0) {
    return (
      <div className="calm" data-testid="empty-queue" role="status">
        <h2>Nothing to review yet</h2>
        {state.why !== "" && <p data-testid="why">{state.why}</p>}
        <FirstSteps project={project.id} operates={operates} />
        {checked}
      </div>
    );
  }
  return (
    <div className="calm" data-testid="empty-queue" role="status">
      <svg viewBox="0 0 64 64" className="calm-mark" aria-hidden="true">
        <circle cx="32" cy="32" r="27" fill="none" stroke="currentColor" strokeWidth="2.500" opacity="0.35" />
        <path
          d="m20 33 8.500 8.500L45 24"
          fill="none"
          stroke="currentColor"
          strokeWidth="4"
          strokeLinecap="round"
          strokeLinejoin="round"
        />
      </svg>
      <h2>Nothing to review just now</h2>
      {state.why !== "" && <p data-testid="why">{state.why}</p>}
      <p className="muted">
        {state.done > 0 ? `In this session: ${doneInWords(state)}. ` : ""}
        New images appear here by themselves.
      </p>
      {checked}
    </div>
  );
}
