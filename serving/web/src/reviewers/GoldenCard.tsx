/** The golden items: listed, added, taken back. */
import { useState } from "react";
import type { GoldenItem } from "../api/types";
import { Confirm } from "../app/Asking";
import { Card } from "../app/Card";
import { Dialog } from "../app/Dialog";
import { Fetched } from "../app/Fetched";
import { acting } from "../app/act";
import { useAsked } from "../app/asked";
import { counted, exactly } from "../app/figures";
import { ago, count, short } from "../app/format";
import { useNow } from "../app/hooks";
import type { ViewProps } from "../app/view";
import { Thumbnail } from "../map/Thumbnail";
import { type Items, useItems } from "../map/items";
import { AddGoldenDialog } from "./AddGoldenDialog";
import { goldenItems, markAllGolden, removeGolden } from "./calls";
import { madeGoldenInWords } from "./reviewers";

const REFRESH_MS = 30_000;
const SHOWN = 20;

export function GoldenCard({ api, project, notify }: ViewProps) {
  const asked = useAsked(() => goldenItems(api, project.id), project.id, REFRESH_MS);
  const images = useItems(api, project.id);
  const [adding, setAdding] = useState(false);
  const [removing, setRemoving] = useState<GoldenItem | null>(null);
  const [shown, setShown] = useState(SHOWN);
  const now = useNow(30_000);
  const { rate } = project.policy.quality.golden;

  const remove = async (item: GoldenItem) => {
    setRemoving(null);
    const title = "Golden no more";
    await acting(notify, asked.refresh)(
      removeGolden(api, project.id, item.item_digest),
      title,
      "What was answered to it counts no more.",
    );
  };
  const add = async (digests: readonly string[]) => {
    const refused = await markAllGolden(api, project.id, digests);
    const added = digests.length - refused.length;
    if (added > 0) notify({ tone: "info", ...madeGoldenInWords(added, []) });
    if (refused.length === 0) setAdding(false);
    await asked.refresh();
    return refused;
  };

  return (
    <Card
      title="Golden items"
      testid="golden"
      aside={
        <>
          <span className="muted small">{exactly(rate)} of what people are handed</span>
          <span className="grow" />
          <button data-testid="add-golden" onClick={() => setAdding(true)}>
            Add
          </button>
        </>
      }
    >
      <Fetched asked={asked} what="the golden items">
        {({ golden }) =>
          golden.length === 0 ? (
            <p className="muted">
              None yet, so nothing tells how good people are. Add items whose ground truth you trust.
            </p>
          ) : (
            <>
              <ul className="lines">
                {golden.slice(0, shown).map((item) => (
                  <Row
                    key={item.item_digest}
                    item={item}
                    images={images}
                    now={now}
                    onRemove={() => setRemoving(item)}
                  />
                ))}
              </ul>
              {golden.length > shown && (
                <button onClick={() => setShown(shown + 5 * SHOWN)}>Show more ({count(golden.length - shown)})</button>
              )}
            </>
          )
        }
      </Fetched>
      {adding && <AddGoldenDialog onClose={() => setAdding(false)} onAdd={add} />}
      {removing && (
        <Dialog
          title="Golden no more"
          onClose={() => setRemoving(null)}
          onSubmit={() => void remove(removing)}
          testid="remove-golden-dialog"
        >
          <p>
            Nobody gets <code>{short(removing.item_digest)}</code> as a golden item any more, and what was answered to
            it counts no more: figures and standings may change.
          </p>
          <Confirm name="Remove" disabled={false} onClose={() => setRemoving(null)} />
        </Dialog>
      )}
    </Card>
  );
}

interface RowProps {
  readonly item: GoldenItem;
  readonly images: Items;
  readonly now: number;
  readonly onRemove: () => void;
}

function Row({ item, images, now, onRemove }: RowProps) {
  const { item_digest, shapes, version, predicted, added_by, added_at } = item;
  return (
    <li className="pictured" data-testid={`golden-${item_digest}`}>
      <span className="picture">
        <Thumbnail items={images} digest={item_digest} alt={`Item ${short(item_digest)}`} />
      </span>
      <div className="grow">
        <code title={item_digest}>{short(item_digest)}</code>
        <p className="muted small">
          {counted(shapes.length, "trusted shape")} · version {version} · by {added_by}, {ago(added_at, now)}
        </p>
        {!predicted && <p className="small">It has no prediction, so it stands in for work that begins with an empty image.</p>}
      </div>
      <button data-testid="remove-golden" onClick={onRemove}>
        Remove
      </button>
    </li>
  );
}
