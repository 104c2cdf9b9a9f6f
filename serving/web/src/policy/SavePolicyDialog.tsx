import type { Policy } from "../api/types";
import { SureDialog } from "../app/SureDialog";
import { DifferenceList } from "./DifferenceList";
import type { Difference, Plain } from "./policy";

/** What is to be sent, and what of the newest policy that changes. */
export interface Plan {
  readonly changes: Plain;
  readonly lines: readonly Difference[];
  readonly newest: Policy;
  /** That the text was begun from. */
  readonly from: Policy;
}

interface Props {
  readonly plan: Plan;
  readonly onSure: () => void;
  readonly onClose: () => void;
}

export function SavePolicyDialog({ plan: { lines, newest, from }, onSure, onClose }: Props) {
  return (
    <SureDialog title="Change the policy" name="Save" onSure={onSure} onClose={onClose}>
      {newest.version !== from.version && (
        <p className="callout warn">
          The text was begun from version {from.version}, and the newest is {newest.version}: what else was changed
          meanwhile stays.
        </p>
      )}
      <DifferenceList lines={lines} testid="policy-changes" />
    </SureDialog>
  );
}
