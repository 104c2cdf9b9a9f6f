import type { ReactNode } from "react";
import { Confirm } from "./Asking";
import { Dialog } from "./Dialog";

interface Props {
  readonly title: string;
  /** On the button. */
  readonly name: string;
  readonly children: ReactNode;
  readonly onSure: () => void;
  readonly onClose: () => void;
}

/** Asks before something changes of which no reason is kept. */
export function SureDialog({ title, name, children, onSure, onClose }: Props) {
  return (
    <Dialog title={title} onClose={onClose} onSubmit={onSure} testid="sure-dialog">
      {children}
      <Confirm name={name} disabled={false} onClose={onClose} />
    </Dialog>
  );
}
