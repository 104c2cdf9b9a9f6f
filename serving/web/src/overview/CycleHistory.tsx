import type { Cycle } from "../api/types";
import { ago } from "../app/format";
import { StateBadge } from "./CycleCard";
import { figuresOf } from "./decision";

export function CycleHistory({ cycles, now }: { readonly cycles: readonly Cycle[]; readonly now: number }) {
  if (cycles.length === 0) return null;
  return (
    <details className="card">
      <summary>Earlier cycles ({cycles.length})</summary>
      <ul className="lines">
        {cycles.map((cycle) => {
          const [figure] = figuresOf(cycle.decision, cycle.evaluation);
          return (
            <li key={cycle.id}>
              <StateBadge state={cycle.state} />
              <span className="grow">
                {cycle.error || cycle.reason}
                {figure?.delta != null &&
                  ` · ${figure.name} ${figure.delta < 0 ? "−" : "+"}${Math.abs(figure.delta).toFixed(3)}`}
              </span>
              <span className="muted small">{ago(cycle.created_at, now)}</span>
            </li>
          );
        })}
      </ul>
    </details>
  );
}
