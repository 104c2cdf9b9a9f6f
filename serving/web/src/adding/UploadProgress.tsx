import { useState } from "react";
import type { Api } from "../api/client";
import { counted } from "../app/figures";
import { count } from "../app/format";
import { useNow } from "../app/hooks";
import type { ViewProps } from "../app/view";
import { AskDialog } from "../items/AskDialog";
import { type Failure, cameInWords, progressInWords } from "./adding";
import type { Progress } from "./upload";

interface Props extends Pick<ViewProps, "notify"> {
  readonly api: Api;
  readonly project: string;
  readonly progress: Progress;
  /** Digests of those that were not there before. */
  readonly added: readonly string[];
  readonly onCancel: () => void;
  readonly onAgain: () => void;
  readonly onList: () => void;
  readonly onMore: () => void;
}

const SHOWN = 50;
const USUAL = 50; // images that people are asked for first

/** How far it is; when it is over, what came of it and what can be done next. */
export function UploadProgress(props: Props) {
  const { progress, onCancel } = props;
  const now = useNow(1000);
  const { phase, total, done, failures, waits } = progress;
  const busy = phase === "under way";
  return (
    <>
      <progress className="how-far" max={total} value={done} aria-label="Images sent" />
      <div className="row">
        <p className="grow" role="status" data-testid="upload-progress">
          {busy ? progressInWords(progress, now) : endInWords(progress)}
        </p>
        {busy && (
          <button data-testid="cancel-upload" onClick={onCancel}>
            Cancel
          </button>
        )}
      </div>
      {waits && (
        <p className="callout warn" role="status" data-testid="upload-waits">
          {waits.title}: {waits.detail} It goes on by itself.
        </p>
      )}
      {failures.length > 0 && <Failures failures={failures} />}
      {!busy && <Next {...props} />}
    </>
  );
}

const endInWords = (progress: Progress): string =>
  `${progress.phase === "cancelled" ? "Cancelled: " : ""}${cameInWords(progress)}`;

function Failures({ failures }: { readonly failures: readonly Failure[] }) {
  return (
    <div className="callout error" role="alert" data-testid="upload-failures">
      <strong>{counted(failures.length, "image was", "images were")} not taken</strong>
      <ul className="lines">
        {failures.slice(0, SHOWN).map(({ path, problem: { detail, hint } }) => (
          <li key={path}>
            <code>{path}</code>
            <span className="grow">
              {detail} <span className="muted">{hint}</span>
            </span>
          </li>
        ))}
      </ul>
      {failures.length > SHOWN && <p className="muted">and {count(failures.length - SHOWN)} more</p>}
    </div>
  );
}

function Next({ api, project, progress, added, notify, onAgain, onList, onMore }: Props) {
  const [asking, setAsking] = useState(false);
  const { total, done, failures, predicted } = progress;
  const left = failures.length + total - done;
  return (
    <footer className="row wrap start">
      {added.length > 0 && (
        <button className="primary" data-testid="show-added" onClick={onList}>
          Show what was added
        </button>
      )}
      {added.length > 0 && predicted === 0 && (
        <button data-testid="ask-people" onClick={() => setAsking(true)}>
          Ask people to label…
        </button>
      )}
      {left > 0 && (
        <button data-testid="send-again" onClick={onAgain}>
          {progress.phase === "cancelled" ? `Send the other ${count(left)}` : `Try ${count(left)} again`}
        </button>
      )}
      <button data-testid="add-more" onClick={onMore}>
        Add more
      </button>
      {asking && (
        <AskDialog
          api={api}
          project={project}
          budget={Math.min(added.length, USUAL)}
          notify={notify}
          onClose={() => setAsking(false)}
        />
      )}
    </footer>
  );
}
