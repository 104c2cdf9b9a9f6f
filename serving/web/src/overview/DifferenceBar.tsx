import type { CanaryStanding } from "../api/types";
import { axisOf } from "./rollouts";

interface Props {
  readonly standing: Pick<CanaryStanding, "low" | "high">;
  readonly margin: number;
}

/** By how much more often the canary fails: the interval, with no difference and the margin beside it. */
export function DifferenceBar({ standing, margin }: Props) {
  const { low, high, zero, margin: allowed } = axisOf(standing, margin);
  const tone = standing.low > 0 ? " below" : standing.high < margin ? " above" : "";
  return (
    <span className="difference">
      <span className="rate">
        <svg viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
          <rect className="rail" width="100" height="10" />
          <rect className={`span${tone}`} x={low} width={Math.max(high - low, 0.6)} height="10" />
          <rect className="point" x={zero} width="0.4" height="10" />
          <rect className="bar" x={allowed} width="0.4" height="10" />
        </svg>
      </span>
      <span className="marks muted small" aria-hidden="true">
        <span style={{ left: `${zero}%` }}>as often</span>
        <span style={{ left: `${allowed}%` }}>margin</span>
      </span>
    </span>
  );
}
