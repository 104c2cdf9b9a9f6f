import type { ReactNode } from "react";
import type { Stage } from "../api/types";

interface Props {
  readonly stage: Stage;
  readonly shapes: number;
  readonly unknown: readonly string[];
  /** Broken rules that the service would refuse the answer for. */
  readonly errors: number;
  readonly answerable: boolean;
  readonly skippable: boolean;
  /** Of a check: whether the answer was corrected, and how many issues were pinned. */
  readonly changed: boolean;
  readonly returning: number;
  readonly onSubmit: () => void;
  readonly onAccept: () => void;
  readonly onReturn: () => void;
  readonly onSkip: () => void;
}

/** Submit and skip, or what is to become of somebody's answer; always in the same place. */
export function ActionBar(props: Props) {
  const { unknown, errors } = props;
  return (
    <div className="actions">
      {unknown.length > 0 && (
        <p className="callout warn" role="status">
          Relabel or remove shapes whose label this project does not know: {unknown.join(", ")}.
        </p>
      )}
      {errors > 0 && (
        <p className="callout error" role="status" data-testid="blocked">
          {errors === 1 ? "One error" : `${errors} errors`} to mend before it can be sent · <kbd>J</kbd> goes there
        </p>
      )}
      {props.stage === "qa" ? <Verdict {...props} /> : <Submit {...props} />}
    </div>
  );
}

function Submit({ shapes, answerable, skippable, onSubmit, onSkip }: Props) {
  return (
    <div className="row">
      <Act testid="skip" enabled={skippable} onClick={onSkip}>
        Skip <kbd>S</kbd>
      </Act>
      <Act testid="submit" enabled={answerable} primary onClick={onSubmit}>
        {shapes === 0 ? "Submit: nothing" : `Submit ${shapes} ${shapes === 1 ? "shape" : "shapes"}`} <kbd>Enter</kbd>
      </Act>
    </div>
  );
}

/** The most likely of the three is the large one, and what Enter does. */
function Verdict({ answerable, skippable, changed, returning, onSubmit, onAccept, onReturn, onSkip }: Props) {
  const [accepts, returns, submits] = [!changed && returning === 0, returning > 0, changed && returning === 0];
  const enter = <kbd>Enter</kbd>;
  return (
    <>
      <div className="row">
        <Act testid="accept" enabled={answerable && !changed} primary={accepts} onClick={onAccept}>
          Accept {accepts ? enter : <kbd>Y</kbd>}
        </Act>
        <Act testid="return" enabled={skippable && returning > 0} primary={returns} onClick={onReturn}>
          Return{returning > 0 && ` with ${returning}`} {returns && enter}
        </Act>
      </div>
      <div className="row">
        <Act testid="skip" enabled={skippable} onClick={onSkip}>
          Skip <kbd>S</kbd>
        </Act>
        <Act testid="submit" enabled={answerable && changed} primary={submits} onClick={onSubmit}>
          Submit corrected {submits && enter}
        </Act>
      </div>
    </>
  );
}

interface ActProps {
  readonly testid: string;
  readonly enabled: boolean;
  readonly primary?: boolean;
  readonly onClick: () => void;
  readonly children: ReactNode;
}

/** Keeps the focus where it is, so that keys go on reaching the image. */
function Act({ testid, enabled, primary = false, onClick, children }: ActProps) {
  return (
    <button
      className={primary ? "primary grow" : testid === "skip" ? "" : "grow"}
      data-testid={testid}
      disabled={!enabled}
      onClick={onClick}
      onMouseDown={(event) => event.preventDefault()}
    >
      {children}
    </button>
  );
}
