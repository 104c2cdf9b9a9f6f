import type { Project, Summary } from "../api/types";
import { Tile } from "../app/Card";
import { count, percent, share } from "../app/format";
import { fragmentOf } from "../session/route";
import { deciderInWords } from "../quality/quality";

interface Props {
  readonly summary: Summary;
  readonly policy: Project["policy"];
  /** Whether who looks at it may see what is promised. */
  readonly operates: boolean;
}

export function Tiles({ summary, policy, operates }: Props) {
  const { predictions, routed, audits, tasks } = summary;
  const of = (state: string): number => tasks[state] ?? 0;
  return (
    <div className="tiles">
      <Tile
        name="Predictions"
        value={count(predictions)}
        detail={<Decides summary={summary} policy={policy} operates={operates} />}
        testid="tile-predictions"
      />
      <Tile
        name="Sent to people"
        value={count(routed)}
        detail={`${share(routed, predictions)} of predictions`}
        testid="tile-routed"
      />
      <Tile
        name="Random audits"
        value={count(audits)}
        detail={`audit rate ${percent(policy.audit_rate, 1)}`}
        testid="tile-audits"
      />
      <Tile
        name="Open"
        value={count(of("open"))}
        detail={<Held count={of("leased")} project={operates ? summary.project_id : null} />}
        testid="tile-open"
      />
      <Tile name="Reviewed" value={count(of("done"))} detail={`${count(of("skipped"))} skipped`} testid="tile-done" />
    </div>
  );
}

/** project: whose queue may be looked at; null: none. */
function Held({ count: held, project }: { readonly count: number; readonly project: string | null }) {
  const words = `${count(held)} in somebody's hands`;
  return project === null ? (
    <>{words}</>
  ) : (
    <a href={fragmentOf(project, "queue")} data-testid="to-queue">
      {words}
    </a>
  );
}

function Decides({ summary, policy, operates }: Props) {
  const words = deciderInWords(policy);
  return operates && policy.guarantee.promises.length > 0 ? (
    <a href={fragmentOf(summary.project_id, "quality")} data-testid="promise-decides">
      {words}
    </a>
  ) : (
    <>{words}</>
  );
}
