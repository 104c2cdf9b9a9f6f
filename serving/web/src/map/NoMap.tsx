/** No map on the screen: none was asked for, it is being drawn, or there is nothing to draw. */
import type { Described } from "../api/problem";
import { type MapState, isAwaited } from "./useMap";

interface Props {
  readonly map: MapState;
  /** Why it was not drawn when it was last asked for. */
  readonly refusal: Described | null;
  readonly onAsk: () => void;
}

export function NoMap({ map, refusal, onAsk }: Props) {
  const { status, missing, problem } = map;
  if (problem) {
    return (
      <div className="calm" role="alert">
        <h2>{problem.title}</h2>
        <p>{problem.detail}</p>
        <p className="muted">{problem.hint}</p>
      </div>
    );
  }
  if (isAwaited(status)) {
    return (
      <div className="calm" role="status" data-testid="map-awaited">
        <h2>{status?.state === "running" ? "The map is being drawn" : "The map waits for its turn"}</h2>
        <p className="muted">It shows here by itself, after some seconds for thousands of images.</p>
      </div>
    );
  }
  if (!missing && (status === null || status.drawn !== null)) {
    return (
      <div className="calm" role="status">
        <p className="muted">Fetching the map…</p>
      </div>
    );
  }
  const why = refusal ?? (status?.error ? { title: "It could not be drawn", detail: status.error, hint: "" } : null);
  return (
    <div className="calm" data-testid="no-map">
      <h2>No map yet</h2>
      <p className="muted wide-text">
        A map shows all images that the champion has predicted as points: what lies close is alike to the model. Once it
        was made, it follows by itself.
      </p>
      {why && (
        <div className="callout warn wide-text" role="alert">
          <strong>{why.title}</strong>
          <p>{why.detail}</p>
          {why.hint && <p className="muted">{why.hint}</p>}
        </div>
      )}
      <button className="primary" data-testid="make-map" onClick={onAsk}>
        Make the map
      </button>
    </div>
  );
}
