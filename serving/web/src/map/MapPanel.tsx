/** When the map was made and of which model, what it lacks, and having it made anew. */
import type { MapStatus } from "../api/types";
import { ago, count } from "../app/format";
import { isAwaited } from "./useMap";

interface Props {
  readonly status: MapStatus;
  readonly champion: string | null;
  readonly now: number;
  readonly onAsk: (refit: boolean) => void;
}

export function MapPanel({ status, champion, now, onAsk }: Props) {
  const { drawn, behind } = status;
  const awaited = isAwaited(status);
  return (
    <section className="panel" aria-label="About this map" data-testid="map-about">
      <h2>
        The map
        <MapBadge status={status} />
      </h2>
      {drawn && (
        <p className="muted small">
          {count(drawn.points)} images of <code title={drawn.model_id}>{drawn.model_id}</code>, made{" "}
          {ago(drawn.made_at, now)}. {count(drawn.fitted)} were fitted {ago(drawn.fitted_at, now)},{" "}
          {drawn.late > 0 ? `${count(drawn.late)} came since and were placed beside them.` : "and nothing came since."}
        </p>
      )}
      {drawn && champion !== drawn.model_id && (
        <p className="callout warn small">Another model serves now; a new map shows how that one sees the images.</p>
      )}
      {behind > 0 && (
        <p className="small" data-testid="map-behind">
          {behind === 1 ? "1 newer prediction is" : `${count(behind)} newer predictions are`} not on it yet.
        </p>
      )}
      {status.error && !awaited && (
        <p className="callout error small" role="alert">
          It could not be drawn: {status.error}
        </p>
      )}
      <div className="row after">
        <button data-testid="map-update" disabled={awaited} onClick={() => onAsk(false)}>
          Bring up to date
        </button>
        <button
          data-testid="map-refit"
          disabled={awaited}
          title="Places all images anew, for a model or images that have changed much"
          onClick={() => onAsk(true)}
        >
          Fit anew
        </button>
      </div>
    </section>
  );
}

export function MapBadge({ status }: { readonly status: MapStatus }) {
  const [tone, words] = (
    {
      queued: ["info", "waits for its turn"],
      running: ["info", "being drawn"],
      ready: ["good", "ready"],
      failed: ["bad", "failed"],
    } as const
  )[status.state];
  return (
    <span className={`badge ${tone}`} data-testid="map-state-badge" role="status">
      {words}
    </span>
  );
}
