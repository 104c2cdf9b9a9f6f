import { useState } from "react";
import type { Api } from "../api/client";
import { isPassing } from "../api/client";
import { describe } from "../api/problem";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { useAsked } from "../app/asked";
import { counted } from "../app/figures";
import { short } from "../app/format";
import "../app/gallery.css";
import type { ViewProps } from "../app/view";
import { Thumbnail } from "../map/Thumbnail";
import { type Items, useItems } from "../map/items";
import { queued } from "../map/queue";
import { fragmentOf } from "../session/route";
import { type Alike, type Wanted, alike, freeOf, isFree, similarityInWords } from "./alike";
import { ChooseRow, toggled } from "./ChooseRow";
import { fileOf, pathOf } from "./names";
import { standingOf } from "./queries";

const SHOWN = 24;
const [SELDOM_MS, SOON_MS] = [120_000, 3_000];

interface Props extends Pick<ViewProps, "notify"> {
  readonly api: Api;
  readonly project: string;
  readonly wanted: Wanted;
  readonly onClose: () => void;
}

/** What looks most like an item or one box on it, and asking people for it. */
export function MoreLikeThis({ api, project, wanted, notify, onClose }: Props) {
  const [shown, setShown] = useState(SHOWN);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [waits, setWaits] = useState(false); // for the index, which is being read
  const [busy, setBusy] = useState(false);
  const images = useItems(api, project);
  const asked = useAsked(
    async () => {
      try {
        const found = await alike(api, project, wanted, shown);
        setWaits(false);
        return found;
      } catch (error) {
        setWaits(isPassing(error));
        throw error;
      }
    },
    `${JSON.stringify(wanted)}#${shown}`,
    waits ? SOON_MS : SELDOM_MS,
  );
  const free = freeOf(asked.value?.rows ?? []);
  const wantedNow = free.filter((digest) => chosen.has(digest));
  const queue = async () => {
    setBusy(true);
    try {
      notify(await queued(api, project, wantedNow));
      setChosen(new Set());
      await asked.refresh();
    } catch (error) {
      notify({ tone: "error", ...describe(error) });
    }
    setBusy(false);
  };
  return (
    <Card
      title={wanted.box === null ? "More like this" : `More like this box: ${wanted.box.words}`}
      testid="alike"
      aside={
        <>
          <span className="grow" />
          <button data-testid="close-alike" onClick={onClose}>
            Close
          </button>
        </>
      }
    >
      <Fetched asked={asked} what="what is alike">
        {({ rows, more }) =>
          rows.length === 0 ? (
            <p className="muted" data-testid="nothing-alike">
              The champion has seen no other image{wanted.box === null ? "" : " with boxes to compare"} yet.
            </p>
          ) : (
            <>
              <ChooseRow which="that nobody has looked at" all={free} chosen={chosen} onChoose={setChosen}>
                <button
                  className="primary"
                  data-testid="queue-alike"
                  disabled={wantedNow.length === 0 || busy}
                  onClick={() => void queue()}
                >
                  {busy ? "Queueing…" : `Queue ${counted(wantedNow.length, "chosen image")}`}
                </button>
              </ChooseRow>
              <ul className="gallery wide">
                {rows.map((one) => (
                  <Entry
                    key={`${one.digest} ${one.found?.number ?? ""}`}
                    one={one}
                    images={images}
                    chosen={chosen.has(one.digest)}
                    href={fragmentOf(project, "items", one.digest)}
                    onChoose={() => setChosen(toggled(chosen, one.digest))}
                  />
                ))}
              </ul>
              {more && (
                <button data-testid="more-alike" onClick={() => setShown(2 * shown)}>
                  Show more
                </button>
              )}
            </>
          )
        }
      </Fetched>
    </Card>
  );
}

interface EntryProps {
  readonly one: Alike;
  readonly images: Items;
  readonly chosen: boolean;
  readonly href: string;
  readonly onChoose: () => void;
}

function Entry({ one: { digest, similarity, found, item }, images, chosen, href, onChoose }: EntryProps) {
  const path = item && pathOf(item);
  const free = item !== null && isFree(item);
  return (
    <li data-testid={`alike-${digest}`}>
      <label className="choice">
        <input
          type="checkbox"
          checked={chosen && free}
          disabled={!free}
          onChange={onChoose}
          aria-label={`Choose ${short(digest)}`}
        />
        <Thumbnail items={images} digest={digest} alt={`Item ${short(digest)}`}>
          {found && item && <Outline box={found.box} width={item.width} height={item.height} />}
        </Thumbnail>
      </label>
      <div className="row">
        <a className="ellipsis" href={href} title={path ?? digest}>
          {path ? fileOf(path) : <code>{digest.slice(0, 8)}</code>}
        </a>
        <span className="grow" />
        <span className="badge info" title="Cosine of the champion’s embeddings: 1 is the same">
          {similarityInWords(similarity)}
        </span>
      </div>
      {found && <span className="small">{found.words}</span>}
      <span className="muted small">{item ? standingOf(item) : "not listed yet"}</span>
    </li>
  );
}

function Outline({ box, width, height }: { readonly box: readonly number[]; readonly width: number; readonly height: number }) {
  const [x = 0, y = 0, right = 0, bottom = 0] = box;
  return (
    <svg viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
      <rect className="prediction" x={x} y={y} width={right - x} height={bottom - y} />
    </svg>
  );
}
