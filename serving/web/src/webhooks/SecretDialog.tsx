import { describe } from "../api/problem";
import { Dialog } from "../app/Dialog";
import type { Notice } from "../review/session";

interface Props {
  readonly secret: string;
  readonly notify: (notice: Notice) => void;
  readonly onClose: () => void;
}

/** Shown once: the service does not tell it again. */
export function SecretDialog({ secret, notify, onClose }: Props) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(secret);
      notify({ tone: "info", title: "Copied", detail: "", hint: "" });
    } catch (error) {
      notify({ tone: "error", ...describe(error), hint: "Select it and copy it by hand." });
    }
  };
  return (
    <Dialog title="The secret, shown once" onClose={onClose} onSubmit={onClose} testid="secret-dialog">
      <p>
        The receiver needs it to see that what it gets is from here. It is not shown again: copy it now; lost ones are
        replaced by a new one.
      </p>
      <code className="secret" data-testid="secret">
        {secret}
      </code>
      <footer>
        <button type="button" data-first onClick={() => void copy()}>
          Copy
        </button>
        <button className="primary" data-testid="kept">
          I have kept it
        </button>
      </footer>
    </Dialog>
  );
}
