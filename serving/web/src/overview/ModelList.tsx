import type { Model, Promotion } from "../api/types";
import { ago, short } from "../app/format";

interface Props {
  readonly models: readonly Model[];
  readonly promotions: readonly Promotion[];
  readonly now: number;
  readonly operate: { readonly onPromote: (model: string) => void; readonly onRollback: () => void } | null;
}

const PROMOTIONS_SHOWN = 6;

export function ModelList({ models, promotions, now, operate }: Props) {
  const pending = promotions.some((promotion) => promotion.state === "queued");
  const swaps = promotions.filter((promotion) => promotion.state === "active" && promotion.previous_id !== null);
  return (
    <section className="card" aria-label="Models" data-testid="models">
      <header>
        <h2>Models</h2>
        <span className="grow" />
        {operate && (
          <button data-testid="rollback" disabled={pending || swaps.length === 0} onClick={operate.onRollback}>
            Roll back
          </button>
        )}
      </header>
      {models.length === 0 && (
        <p className="muted">
          No model yet. Add one with <code>askance models add</code>.
        </p>
      )}
      <ul className="models">
        {models.map((model) => (
          <li key={model.id} className={model.champion ? "champion" : ""} data-testid={`model-${model.id}`}>
            <div className="grow">
              <div className="row">
                <code title={model.digest}>{model.id}</code>
                {model.champion && <span className="badge good">champion</span>}
                {!model.champion && isPending(model, promotions) && <span className="badge info">deploying</span>}
              </div>
              <span className="muted small">
                {model.backend} · {model.image_size} px · {model.labels.length} labels · {model.origin} ·{" "}
                {ago(model.created_at, now)}
              </span>
            </div>
            {operate && !model.champion && (
              <button
                disabled={pending}
                onClick={() => operate.onPromote(model.id)}
                data-testid={`promote-${model.id}`}
              >
                Promote
              </button>
            )}
          </li>
        ))}
      </ul>
      {promotions.length > 0 && (
        <details>
          <summary>Promotions</summary>
          <ul className="lines">
            {promotions.slice(0, PROMOTIONS_SHOWN).map((promotion) => (
              <li key={promotion.id}>
                <span className={`badge ${{ queued: "info", active: "good", failed: "bad" }[promotion.state]}`}>
                  {promotion.kind}
                </span>
                <span className="grow">
                  <code>{short(promotion.model_id)}</code> by {promotion.actor}: {promotion.error || promotion.reason}
                </span>
                <span className="muted small">{ago(promotion.created_at, now)}</span>
              </li>
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}

const isPending = (model: Model, promotions: readonly Promotion[]): boolean =>
  promotions.some((promotion) => promotion.model_id === model.id && promotion.state === "queued");
