/** What an operator is asked before something changes for a receiver. */
import { Confirm } from "../app/Asking";
import { Dialog } from "../app/Dialog";

interface PauseWebhookProps {
  readonly url: string;
  readonly onPause: () => void;
  readonly onClose: () => void;
}

export function PauseWebhookDialog({ url, onPause, onClose }: PauseWebhookProps) {
  return (
    <Dialog title="Pause this webhook" onClose={onClose} onSubmit={onPause} testid="pause-webhook-dialog">
      <p>
        Nothing is sent to <code>{url}</code> until it is resumed. What waits is kept and goes out then; what happens
        meanwhile is not kept for it.
      </p>
      <Confirm name="Pause" disabled={false} onClose={onClose} />
    </Dialog>
  );
}
