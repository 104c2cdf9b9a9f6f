import { type FormEvent, type ReactNode, useEffect, useRef, useState } from "react";
import { type Described, describe } from "../api/problem";
import { ProblemNote } from "./ProblemNote";

interface Props {
  readonly title: string;
  readonly onClose: () => void;
  /** Makes the dialog a form: what its submit button and Enter do. A promise that fails leaves it open and says why. */
  readonly onSubmit?: () => unknown;
  readonly wide?: boolean;
  readonly children: ReactNode;
  readonly testid?: string;
}

/** A modal: the browser keeps the focus inside, closes it on Escape and gives the focus back.
 *  What carries `data-first` is focused first. */
export function Dialog({ title, onClose, onSubmit, wide, children, testid }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [problem, setProblem] = useState<Described | null>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    const element = dialog.current;
    element?.showModal();
    element?.querySelector<HTMLElement>("[data-first]")?.focus();
    return () => element?.close();
  }, []);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const work = busy ? null : onSubmit?.();
    if (!(work instanceof Promise)) return;
    setBusy(true);
    setProblem(null);
    try {
      await work;
    } catch (error) {
      setProblem(describe(error));
    }
    setBusy(false);
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
      <form className="dialog-body" aria-busy={busy} onSubmit={(event) => void submit(event)}>
        <header>
          <h2>{title}</h2>
          <button type="button" className="icon" aria-label="Close" onClick={onClose}>
            ✕
          </button>
        </header>
        {children}
        {problem && <ProblemNote problem={problem} testid="dialog-refused" />}
      </form>
    </dialog>
  );
}
