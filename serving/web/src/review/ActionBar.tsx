interface Props {
  readonly boxes: number;
  readonly unknown: readonly string[];
  readonly answerable: boolean;
  readonly skippable: boolean;
  readonly onSubmit: () => void;
  readonly onSkip: () => void;
}

/** Submit and skip; always in the same place. */
export function ActionBar({ boxes, unknown, answerable, skippable, onSubmit, onSkip }: Props) {
  return (
    <div className="actions">
      {unknown.length > 0 && (
        <p className="callout warn" role="status">
          Relabel or remove boxes whose label this project does not know: {unknown.join(", ")}.
        </p>
      )}
      <div className="row">
        <button
          data-testid="skip"
          disabled={!skippable}
          onClick={onSkip}
          onMouseDown={(event) => event.preventDefault()}
        >
          Skip <kbd>S</kbd>
        </button>
        <button
          className="primary grow"
          data-testid="submit"
          disabled={!answerable}
          onClick={onSubmit}
          onMouseDown={(event) => event.preventDefault()}
        >
          {boxes === 0 ? "Submit: nothing here" : `Submit ${boxes} ${boxes === 1 ? "box" : "boxes"}`} <kbd>Enter</kbd>
        </button>
      </div>
    </div>
  );
}
