import { useState } from "react";
import type { Api } from "../api/client";
import type { LotItem } from "../api/types";
import "../app/gallery.css";
import { Card } from "../app/Card";
import { count, short } from "../app/format";
import { Thumbnail } from "../map/Thumbnail";
import { useItems } from "../map/items";
import { standingOf, verdictOf } from "./lots";

interface Props {
  readonly api: Api;
  readonly project: string;
  readonly items: readonly LotItem[];
}

const SHOWN = 24;

/** In the order of inspection. */
export function LotItems({ api, project, items }: Props) {
  const images = useItems(api, project);
  const [only, setOnly] = useState<"all" | "defects" | "seen">("all");
  const [shown, setShown] = useState(SHOWN);
  const wanted = items.filter((item) => only === "all" || (only === "seen" ? item.defect !== null : item.defect));
  return (
    <Card
      title="Items"
      testid="lot-items"
      aside={
        <>
          <span className="grow muted small">{count(wanted.length)} in the order in which they are looked at</span>
          <select
            aria-label="Which items"
            value={only}
            onChange={(event) => setOnly(event.target.value as typeof only)}
          >
            <option value="all">all</option>
            <option value="seen">looked at</option>
            <option value="defects">with defects</option>
          </select>
        </>
      }
    >
      {wanted.length === 0 && <p className="muted">None.</p>}
      <ul className="gallery">
        {wanted.slice(0, shown).map((item) => {
          const verdict = verdictOf(item);
          return (
            <li key={item.task_id} data-testid="lot-item">
              <Thumbnail items={images} digest={item.item_digest} alt={`Item ${short(item.item_digest)}`} />
              <div className="row">
                <span className="muted small">{item.place === null ? "not drawn" : `#${count(item.place + 1)}`}</span>
                <span className="grow" />
                {verdict.words && <span className={`badge ${verdict.tone}`}>{verdict.words}</span>}
              </div>
              <span className="muted small ellipsis">{standingOf(item)}</span>
            </li>
          );
        })}
      </ul>
      {wanted.length > shown && (
        <button onClick={() => setShown(shown + 4 * SHOWN)}>Show more ({count(wanted.length - shown)})</button>
      )}
    </Card>
  );
}
