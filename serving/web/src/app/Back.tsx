interface Props {
  /** "All lots" */
  readonly to: string;
  readonly testid: string;
  readonly onBack: () => void;
}

/** From one of a list back to the list. Has the focus, which was on the row that was opened. */
export function Back({ to, testid, onBack }: Props) {
  return (
    <button className="back" data-testid={testid} autoFocus onClick={onBack}>
      ← {to}
    </button>
  );
}
