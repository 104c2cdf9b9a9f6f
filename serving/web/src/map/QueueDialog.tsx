import { count } from "../app/format";
import { Dialog } from "../app/Dialog";

interface Props {
  readonly images: number;
  readonly onQueue: () => void;
  readonly onClose: () => void;
}

export function QueueDialog({ images, onQueue, onClose }: Props) {
  const words = images === 1 ? "1 image" : `${count(images)} images`;
  return (
    <Dialog title="Queue for review" onClose={onClose} onSubmit={onQueue} testid="queue-dialog">
      <p>
        People are given {words}, each as a task of its own. Tasks that are queued are not taken back; who cannot say
        skips them.
      </p>
      <footer>
        <button type="button" onClick={onClose}>
          Back
        </button>
        <button className="primary" data-first data-testid="confirm">
          Queue {words}
        </button>
      </footer>
    </Dialog>
  );
}
