import type { ListedItem } from "../api/types";
import { Confirm } from "../app/Asking";
import { Dialog } from "../app/Dialog";
import { counted } from "../app/figures";

interface Props {
  readonly items: readonly ListedItem[];
  readonly onMake: (digests: readonly string[]) => Promise<void>;
  readonly onClose: () => void;
}

/** Of the chosen items, those with ground truth. */
export function MakeGoldenDialog({ items, onMake, onClose }: Props) {
  const digests = items.filter(({ truth_version }) => truth_version).map(({ digest }) => digest);
  const without = items.length - digests.length;
  return (
    <Dialog
      title="Make items golden"
      onClose={onClose}
      onSubmit={() => digests.length > 0 && onMake(digests)}
      testid="make-golden-dialog"
    >
      <p>
        Their ground truth is trusted: make sure of it first. People get golden items among other work and cannot tell
        them from it.
      </p>
      {without > 0 && (
        <p className="callout warn" data-testid="without-truth">
          {counted(without, "chosen item has", "chosen items have")} no ground truth to trust, and{" "}
          {without === 1 ? "is" : "are"} left out. Ask people for {without === 1 ? "it" : "them"} first.
        </p>
      )}
      <Confirm
        name={`Make ${counted(digests.length, "item")} golden`}
        disabled={digests.length === 0}
        onClose={onClose}
      />
    </Dialog>
  );
}
