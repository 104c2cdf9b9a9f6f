import type { Project, Summary } from "../api/types";
import { Tile } from "../app/Card";
import { count, percent, share } from "../app/format";

interface Props {
  readonly summary: Summary;
  readonly policy: Project["policy"];
}

export function Tiles({ summary, policy }: Props) {
  const { predictions, routed, audits, tasks } = summary;
  const of = (state: string): number => tasks[state] ?? 0;
  return (
    <div className="tiles">
      <Tile
        name="Predictions"
        value={count(predictions)}
        detail={`risk threshold ${policy.threshold.toFixed(2)}`}
        testid="tile-predictions"
      />
      <Tile
        name="Sent to people"
        value={count(routed)}
        detail={`${share(routed, predictions)} of predictions`}
        testid="tile-routed"
      />
      <Tile
        name="Audits by lot"
        value={count(audits)}
        detail={`audit rate ${percent(policy.audit_rate, 1)}`}
        testid="tile-audits"
      />
      <Tile
        name="Open"
        value={count(of("open"))}
        detail={`${count(of("leased"))} in somebody's hands`}
        testid="tile-open"
      />
      <Tile name="Reviewed" value={count(of("done"))} detail={`${count(of("skipped"))} skipped`} testid="tile-done" />
    </div>
  );
}
