import type { Clause } from "./decision";
import { numbersOf } from "./evaluation";

interface Props {
  readonly clauses: readonly Clause[];
  /** With the figures of each beside its words. */
  readonly numbers?: boolean;
}

const SIGNS: Record<Clause["verdict"], string> = { passed: "✓", failed: "✕", "not judged": "–" };

/** What the gate asked, and what it found. */
export function Clauses({ clauses, numbers = false }: Props) {
  return (
    <ul className="clauses">
      {clauses.map((clause) => (
        <li key={clause.name} className={clause.verdict.replace(" ", "-")} data-testid={`clause-${clause.name}`}>
          <span className="sign" aria-label={clause.verdict} role="img">
            {SIGNS[clause.verdict]}
          </span>
          <div>
            <strong>{clause.name}</strong>
            <p className="muted">{clause.detail}</p>
            {numbers && (
              <dl className="facts-row small">
                {numbersOf(clause).map(({ name, value }) => (
                  <div key={name}>
                    <dt>{name}</dt>
                    <dd>{value}</dd>
                  </div>
                ))}
              </dl>
            )}
          </div>
        </li>
      ))}
    </ul>
  );
}
