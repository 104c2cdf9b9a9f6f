import type { ReactNode } from "react";
import type { Asked } from "./asked";

interface Props<T> {
  readonly asked: Asked<T>;
  /** "the lots" */
  readonly what: string;
  readonly children: (value: T) => ReactNode;
}

/** What was asked for; before that, that it is fetched, or why it cannot be and what to do. */
export function Fetched<T>({ asked, what, children }: Props<T>) {
  const { value, problem, noModel, old, refresh } = asked;
  if (value === null && problem && noModel) {
    return (
      <p className="muted" data-testid="no-model">
        {problem.detail} {problem.hint} There is something to tell once it predicts.
      </p>
    );
  }
  if (value === null && problem) {
    return (
      <div className="callout error" role="alert" data-testid="not-fetched">
        <strong>{problem.title}</strong>
        <p>{problem.detail}</p>
        {problem.hint && <p className="muted">{problem.hint}</p>}
        <button onClick={() => void refresh()}>Try again</button>
      </div>
    );
  }
  if (value === null) {
    return (
      <p className="muted fetching" role="status">
        Fetching {what}…
      </p>
    );
  }
  return (
    <>
      {problem && (
        <p className="callout warn" role="status">
          {problem.title}: what is shown may be old. {problem.detail} {problem.hint}
        </p>
      )}
      <div className={old ? "fetched old" : "fetched"} aria-busy={old}>
        {children(value)}
      </div>
    </>
  );
}
