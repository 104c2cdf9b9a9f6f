import { useState } from "react";
import { Confirm, Reason, isReason } from "../app/Asking";
import { Dialog } from "../app/Dialog";
import { WhichItems } from "./WhichItems";

interface Props {
  /** "3 chosen items" */
  readonly which: string;
  /** Of all that meet it; null: of those that were chosen. */
  readonly query: string | null;
  readonly onAsk: (reason: string) => Promise<void>;
  readonly onClose: () => void;
}

/** Asks people for these very items. */
export function AskForDialog({ which, query, onAsk, onClose }: Props) {
  const [reason, setReason] = useState("");
  const ready = isReason(reason);
  return (
    <Dialog
      title={`Ask people for ${which}`}
      onClose={onClose}
      onSubmit={() => ready && onAsk(reason.trim())}
      testid="ask-for-dialog"
    >
      <WhichItems query={query} />
      <p>
        Those that nobody has looked at become tasks at Review. Those that people have answered are asked for again;
        what is true of them stays until then. Those that people have to do already stay as they are.
      </p>
      <Reason value={reason} onChange={setReason} kept="people read it with a new task; kept with your name" />
      <Confirm name="Ask people" disabled={!ready} onClose={onClose} />
    </Dialog>
  );
}
