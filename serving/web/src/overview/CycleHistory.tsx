import type { Cycle } from "../api/types";
import { ago } from "../app/format";
import { StateBadge } from "./CycleCard";
import { figuresOf } from "./decision";

interface Props {
  readonly cycles: readonly Cycle[];
  readonly now: number;
  /** Where all of a cycle is shown; null for who may not see it. */
  readonly hrefOf: ((cycle: string) => string) | null;
}

export function CycleHistory({ cycles, now, hrefOf }: Props) {
  if (cycles.length === 0) return null;
  return (
    <details className="card">
      <summary>Earlier cycles ({cycles.length})</summary>
      <ul className="lines">
        {cycles.map((cycle) => {
          const [figure] = figuresOf(cycle);
          return (
            <li key={cycle.id}>
              <StateBadge state={cycle.state} />
              <span className="grow">
                {cycle.error || cycle.reason}
                {figure?.delta != null &&
                  ` · ${figure.name} ${figure.delta < 0 ? "−" : "+"}${Math.abs(figure.delta).toFixed(3)}`}
              </span>
              {hrefOf && (
                <a data-testid={`open-${cycle.id}`} href={hrefOf(cycle.id)}>
                  Open
                </a>
              )}
              <span className="muted small">{ago(cycle.created_at, now)}</span>
            </li>
          );
        })}
      </ul>
    </details>
  );
}
