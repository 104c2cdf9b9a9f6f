import { type FormEvent, type ReactNode, useEffect, useRef } from "react";

interface Props {
  readonly title: string;
  readonly onClose: () => void;
  /** Makes the dialog a form: what its submit button and Enter do. */
  readonly onSubmit?: () => void;
  readonly wide?: boolean;
  readonly children: ReactNode;
  readonly testid?: string;
}

/** A modal: the browser keeps the focus inside, closes it on Escape and gives the focus back.
 *  What carries `data-first` is focused first. */
export function Dialog({ title, onClose, onSubmit, wide, children, testid }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    element?.querySelector<HTMLElement>("[data-first]")?.focus();
    return () => element?.close();
  }, []);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    onSubmit?.();
  };
  return (
    <dialog
      ref={dialog}
      className={wide ? "dialog wide" : "dialog"}
      aria-label={title}
      data-testid={testid}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => event.target === dialog.current && onClose()}
      onKeyDown={(event) => event.stopPropagation()}
    >
      <form className="dialog-body" onSubmit={submit}>
        <header>
          <h2>{title}</h2>
          <button type="button" className="icon" aria-label="Close" onClick={onClose}>
            ✕
          </button>
        </header>
        {children}
      </form>
    </dialog>
  );
}
