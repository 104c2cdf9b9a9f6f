import type { CanaryStanding, Rollout } from "../api/types";
import { STATES, VERDICTS } from "./rollouts";

export function StateOf({ rollout: { state } }: { readonly rollout: Rollout }) {
  const { tone, words } = STATES[state];
  return (
    <span className={`badge ${tone}`} data-testid="rollout-state">
      {words}
    </span>
  );
}

export function StandingBadge({ standing: { verdict } }: { readonly standing: CanaryStanding }) {
  const { tone, words } = VERDICTS[verdict];
  return (
    <span className={`badge ${tone}`} data-testid="rollout-verdict">
      {words}
    </span>
  );
}
