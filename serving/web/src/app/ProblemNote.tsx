import type { Described } from "../api/problem";

interface Props {
  readonly problem: Described;
  readonly testid: string;
}

/** What went wrong, and what to do, where it was done. */
export function ProblemNote({ problem: { title, detail, hint }, testid }: Props) {
  return (
    <div className="callout error" role="alert" data-testid={testid}>
      <strong>{title}</strong>
      <p>{detail}</p>
      {hint && <p className="muted">{hint}</p>}
    </div>
  );
}
