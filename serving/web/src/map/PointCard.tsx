/** One image of the map: what it looks like, what was found on it, how risky it is, whose hands it is in. */
import { ago, short } from "../app/format";
import type { Palette } from "../review/colors";
import { Thumbnail } from "./Thumbnail";
import type { Columns } from "./columns";
import { foundIn, stateOf } from "./facts";
import { type Items, useLookup } from "./items";

interface Props {
  readonly columns: Columns;
  readonly row: number | null;
  readonly items: Items;
  readonly palette: Palette;
  /** Whether the model knows how unusual an image is. */
  readonly anomalies: boolean;
  readonly now: number;
  readonly onCopy: (digests: readonly string[]) => void;
}

const REST_MS = 90; // a pointer that stays so long on a point means it

export function PointCard({ columns, row, items, palette, anomalies, now, onCopy }: Props) {
  const digest = row === null ? null : columns.item(row);
  const { value: facts } = useLookup(items.facts, digest, REST_MS);
  if (row === null || digest === null) {
    return (
      <section className="panel point" aria-label="Image" data-testid="map-point">
        <p className="muted">Point at an image to see it; click to keep it here.</p>
      </section>
    );
  }
  const detections = facts?.prediction?.detections ?? null;
  const score = columns.score[row] ?? Number.NaN;
  const surest = columns.label.names[columns.label.codes[row] ?? -1];
  const anomaly = columns.anomaly[row] ?? 1;
  return (
    <section className="panel point" aria-label="Image" aria-live="polite" data-testid="map-point" data-item={digest}>
      <Thumbnail
        items={items}
        digest={digest}
        alt={`Image ${short(digest)}`}
        rest={REST_MS}
        found={facts && detections ? { detections, width: facts.width, height: facts.height } : null}
        palette={palette}
      />
      <dl className="facts">
        <dt>Risk</dt>
        <dd data-testid="map-risk">{(columns.risk[row] ?? 0).toFixed(2)}</dd>
        <dt>Found</dt>
        <dd data-testid="map-found">
          {detections ? foundIn(detections) : surest === undefined ? "nothing" : `${surest} (${score.toFixed(2)})`}
        </dd>
        <dt>State</dt>
        <dd data-testid="map-state">{stateOf(columns, row, facts)}</dd>
        {anomalies && (
          <>
            <dt>Unlike</dt>
            <dd>p {anomaly.toPrecision(2)} among the training images</dd>
          </>
        )}
        <dt>From</dt>
        <dd>
          {columns.source.names[columns.source.codes[row] ?? -1] || "a source without a name"},{" "}
          {ago(new Date(columns.predictedAt[row] ?? 0).toISOString(), now)}
        </dd>
        <dt>Item</dt>
        <dd className="row">
          <code title={digest}>{short(digest)}</code>
          <button className="link small" onClick={() => onCopy([digest])}>
            Copy
          </button>
        </dd>
      </dl>
    </section>
  );
}
