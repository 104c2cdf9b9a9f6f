import type { ReactNode } from "react";

interface Props {
  readonly title: string;
  /** Of the title, where it is shortened. */
  readonly tooltip?: string | undefined;
  readonly testid: string;
  /** Beside the title: badges first, then buttons after a `grow`. */
  readonly aside?: ReactNode;
  readonly children: ReactNode;
}

export function Card({ title, tooltip, testid, aside, children }: Props) {
  return (
    <section className="card" aria-label={title} data-testid={testid}>
      <header>
        <h2 title={tooltip}>{title}</h2>
        {aside}
      </header>
      {children}
    </section>
  );
}

/** A number that is read first, with what it means below. */
export function Tile(props: { name: string; value: string; detail: ReactNode; testid?: string }) {
  return (
    <div className="tile">
      <span className="tile-name">{props.name}</span>
      <span className="tile-value" data-testid={props.testid}>
        {props.value}
      </span>
      <span className="muted small">{props.detail}</span>
    </div>
  );
}
