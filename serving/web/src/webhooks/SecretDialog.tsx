import { Dialog } from "../app/Dialog";
import { Secret } from "../app/Secret";
import type { Notice } from "../review/session";

interface Props {
  readonly secret: string;
  readonly notify: (notice: Notice) => void;
  readonly onClose: () => void;
}

/** Shown once: the service does not tell it again. */
export function SecretDialog({ secret, notify, onClose }: Props) {
  return (
    <Dialog title="The secret, shown once" onClose={onClose} onSubmit={onClose} testid="secret-dialog">
      <p>
        The receiver needs it to see that what it gets is from here. It is not shown again: copy it now; lost ones are
        replaced by a new one.
      </p>
      <Secret secret={secret} notify={notify} />
      <footer>
        <button className="primary" data-testid="kept">
          I have kept it
        </button>
      </footer>
    </Dialog>
  );
}
