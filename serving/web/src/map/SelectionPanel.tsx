/** The images that were enclosed: how many, what they look like, and queueing them for people. */
import { useEffect, useMemo, useState } from "react";
import { count, short } from "../app/format";
import { Thumbnail } from "./Thumbnail";
import type { Columns } from "./columns";
import { byRisk, openOf } from "./facts";
import type { Items } from "./items";

interface Props {
  readonly columns: Columns;
  readonly selected: Int32Array;
  readonly picked: number | null;
  readonly items: Items;
  /** The most that the service takes at once. */
  readonly most: number;
  readonly onPick: (row: number) => void;
  readonly onSelectSeen: () => void;
  readonly onClear: () => void;
  /** Those of the selected that nobody has looked at, by their digests. */
  readonly onQueue: (digests: readonly string[]) => void;
  readonly onCopy: (digests: readonly string[]) => void;
}

const SHOWN_AT_ONCE = 24;

export function SelectionPanel(props: Props) {
  const { columns, selected, picked, items, most } = props;
  const [shown, setShown] = useState(SHOWN_AT_ONCE);
  useEffect(() => setShown(SHOWN_AT_ONCE), [selected]);
  const open = useMemo(() => openOf(columns, selected), [columns, selected]);
  const rows = useMemo(() => byRisk(columns, selected), [columns, selected]);
  if (selected.length === 0) {
    return (
      <section className="panel" aria-label="Selection" data-testid="map-selection">
        <h2>Selection</h2>
        <p className="muted">Drag with Shift held around images to select them, or</p>
        <button className="after" data-testid="select-seen" onClick={props.onSelectSeen}>
          Select what is in sight
        </button>
      </section>
    );
  }
  const digestsOf = (some: Int32Array): string[] => Array.from(some, (row) => columns.item(row));
  const left = rows.length - shown;
  return (
    <section className="panel" aria-label="Selection" data-testid="map-selection">
      <h2>
        <span data-testid="selection-count">
          {selected.length === 1 ? "1 image" : `${count(selected.length)} images`}
        </span>
        <button className="link small" onClick={props.onClear}>
          Clear
        </button>
      </h2>
      <p className="muted small">
        {open.length === selected.length
          ? "Nobody has looked at any of them."
          : `Nobody has looked at ${count(open.length)} of them.`}
        {open.length > most && ` At most ${count(most)} can be queued at once.`}
      </p>
      <div className="row after">
        <button
          className="primary"
          data-testid="queue-selection"
          disabled={open.length === 0 || open.length > most}
          onClick={() => props.onQueue(digestsOf(open))}
        >
          Queue {count(open.length)} for review
        </button>
        <button onClick={() => props.onCopy(digestsOf(rows))}>Copy ids</button>
      </div>
      <ul className="thumbnails" data-testid="selection-thumbnails">
        {Array.from(rows.subarray(0, shown), (row) => {
          const digest = columns.item(row);
          const risk = (columns.risk[row] ?? 0).toFixed(2);
          return (
            <li key={digest}>
              <button
                className={row === picked ? "current" : ""}
                aria-label={`Image ${short(digest)}, risk ${risk}`}
                onClick={() => props.onPick(row)}
              >
                <Thumbnail items={items} digest={digest} alt="" />
                <span className="small muted">{risk}</span>
              </button>
            </li>
          );
        })}
      </ul>
      {left > 0 && (
        <button className="wide" onClick={() => setShown(shown + SHOWN_AT_ONCE)}>
          Show {count(Math.min(left, SHOWN_AT_ONCE))} of {count(left)} more
        </button>
      )}
    </section>
  );
}
