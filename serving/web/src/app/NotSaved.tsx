interface Props {
  readonly shown: boolean;
}

/** That what is shown is a draft, which is kept while the tab lives. */
export function NotSaved({ shown }: Props) {
  return (
    shown && (
      <span className="badge warn" title="Kept in this tab until you save it or start again" data-testid="not-saved">
        not saved yet
      </span>
    )
  );
}
