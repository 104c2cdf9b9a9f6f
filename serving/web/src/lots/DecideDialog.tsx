import { useState } from "react";
import type { LotDetail } from "../api/types";
import { Confirm, Reason, isReason } from "../app/Asking";
import { Dialog } from "../app/Dialog";
import { counted } from "../app/figures";

interface Props {
  readonly how: "accept" | "reopen";
  readonly lot: LotDetail;
  readonly onDecide: (reason: string) => Promise<void>;
  readonly onClose: () => void;
}

export function DecideDialog({ how, lot, onDecide, onClose }: Props) {
  const [reason, setReason] = useState("");
  const held = lot.waiting + lot.in_qa;
  const accepts = how === "accept";
  return (
    <Dialog
      title={accepts ? "Accept this lot" : "Re-open this lot"}
      onClose={onClose}
      onSubmit={() => isReason(reason) && onDecide(reason.trim())}
      testid="decide-lot-dialog"
    >
      {accepts ? (
        <p>
          Its answers become ground truth: {counted(held, "answer that waits", "answers that wait")}, and those still to
          come. Nobody looks at them again unless the lot is re-opened.
        </p>
      ) : (
        <p>
          People look at each answer that nobody has looked at: {counted(lot.waiting, "waits", "wait")} now. What counts
          already goes on counting until it is corrected.
        </p>
      )}
      <p className="muted">
        Lot <code>{lot.id}</code> is {lot.state}. If somebody decides meanwhile, this decision is refused.
      </p>
      <Reason value={reason} onChange={setReason} />
      <Confirm name={accepts ? "Accept" : "Re-open"} disabled={!isReason(reason)} onClose={onClose} />
    </Dialog>
  );
}
