import { useState } from "react";
import type { PickedItem } from "../api/types";
import { count, short } from "../app/format";
import "../app/gallery.css";
import { Thumbnail } from "../map/Thumbnail";
import type { Items } from "../map/items";

const SHOWN_AT_ONCE = 60;

interface Props {
  readonly picks: readonly PickedItem[];
  readonly images: Items;
  /** Where an item is shown; null: nowhere. */
  readonly hrefOf?: (digest: string) => string;
}

/** Picks by rank, each with what chose it, what it was ranked by, and why. */
export function PickGallery({ picks, images, hrefOf }: Props) {
  const [shown, setShown] = useState(SHOWN_AT_ONCE);
  const left = picks.length - shown;
  return (
    <>
      <ul className="gallery wide" data-testid="picks">
        {picks.slice(0, shown).map((pick) => (
          <Pick key={pick.item_digest} pick={pick} images={images} href={hrefOf?.(pick.item_digest)} />
        ))}
      </ul>
      {left > 0 && (
        <button data-testid="more-picks" onClick={() => setShown(shown + SHOWN_AT_ONCE)}>
          Show more ({count(left)} left)
        </button>
      )}
    </>
  );
}

interface PickProps {
  readonly pick: PickedItem;
  readonly images: Items;
  readonly href: string | undefined;
}

function Pick({ pick, images, href }: PickProps) {
  const { rank, item_digest: digest, strategy, score, reason, inclusion_probability: drawn } = pick;
  return (
    <li data-testid={`pick-${digest}`}>
      <Thumbnail items={images} digest={digest} alt={`Pick ${rank}`} />
      <div className="row">
        <span className="muted small">{rank}</span>
        {href === undefined ? <code title={digest}>{short(digest)}</code> : <a href={href}>{short(digest)}</a>}
        <span className="grow" />
        <span className="badge" title="The strategy that chose it">
          {strategy}
        </span>
      </div>
      {drawn === null ? (
        <span className="small" title="What the strategy ranked by; to be compared within one strategy alone">
          score {scoreInWords(score)}
        </span>
      ) : (
        <span className="small" title="With which estimates of the pool weigh it">
          probability {scoreInWords(drawn)}
        </span>
      )}
      <span className="muted small">{reason}</span>
    </li>
  );
}

/** Three digits of whatever size. */
const scoreInWords = (score: number): string => Number(score.toPrecision(3)).toString().replace("-", "−");
