import { useState } from "react";
import type { Described } from "../api/problem";
import { shapesOf } from "./editor";
import type { Current, ReviewSession } from "./session";

interface Props {
  readonly current: Current;
  readonly session: ReviewSession;
  readonly imageProblem: Described | null;
  readonly onReloadImage: () => void;
}

/** What the reviewer has to know before going on: a lost lease, an image that did not load, a restored draft. */
export function Banner({ current, session, imageProblem, onReloadImage }: Props) {
  if (current.lost) return <LostLease key={current.task.id} current={current} lost={current.lost} session={session} />;
  if (imageProblem) {
    return (
      <div className="banner error" role="alert" data-testid="image-problem">
        <div>
          <strong>The image did not load: {imageProblem.title}</strong>
          <p>
            {imageProblem.detail} {imageProblem.hint}
          </p>
        </div>
        <div className="row">
          <button onClick={onReloadImage}>Load it again</button>
        </div>
      </div>
    );
  }
  if (current.restored) {
    return (
      <div className="banner quiet" role="status" data-testid="draft-restored">
        <span>Draft restored: your unsent work on this image.</span>
        <button className="link" onClick={() => session.startOver()}>
          Start over
        </button>
      </div>
    );
  }
  if (current.task.returned) {
    const { issues, note } = current.task.returned;
    return (
      <div className="banner quiet" role="status" data-testid="returned">
        <span>
          <strong>This came back to you</strong> with {issues.length} {issues.length === 1 ? "issue" : "issues"} to mend
          {note && `: “${note}”`}
        </span>
      </div>
    );
  }
  return null;
}

function LostLease({ current, lost, session }: { current: Current; lost: Described; session: ReviewSession }) {
  const [asking, setAsking] = useState(false);
  const [gone, setGone] = useState(false);
  const count = shapesOf(current.editor).length;
  const reclaim = async () => {
    setAsking(true);
    const ours = await session.reclaim();
    setAsking(false);
    setGone(!ours);
  };
  return (
    <div className="banner error" role="alert" data-testid="lease-lost">
      <div>
        <strong>{lost.title}</strong>
        <p>
          {gone ? "Somebody else has this image now, or has answered it. " : `${lost.detail} `}
          Your draft ({count} {count === 1 ? "shape" : "shapes"}) is kept in this browser and comes back if the image
          does.
        </p>
      </div>
      <div className="row">
        <button
          className={gone ? "" : "primary"}
          disabled={asking}
          onClick={() => void reclaim()}
          data-testid="lease-again"
        >
          {asking ? "Asking…" : "Lease again and restore"}
        </button>
        <button className={gone ? "primary" : ""} onClick={() => session.leaveLost()} data-testid="lease-next">
          Next image
        </button>
      </div>
    </div>
  );
}
