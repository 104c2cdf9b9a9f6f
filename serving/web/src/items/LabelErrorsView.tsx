/** Items whose ground truth is probably wrong, the most doubtful first; asking people for some again. For operators. */
import { useState } from "react";
import { describe } from "../api/problem";
import type { DoubtfulItem } from "../api/types";
import { Back } from "../app/Back";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { useAsked } from "../app/asked";
import { counted } from "../app/figures";
import { count, short } from "../app/format";
import "../app/gallery.css";
import type { ViewProps } from "../app/view";
import { Thumbnail } from "../map/Thumbnail";
import { type Items, useLookup } from "../map/items";
import { ChooseRow, toggled } from "./ChooseRow";
import { askedInWords } from "./asking";
import { askAgain, comparedInWords, doubtInWords, labelErrors, outlinesOf } from "./labelErrors";

const REFRESH_MS = 3_600_000; // it takes the service seconds, of all items minutes
const WORST = 2; // doubts of an item that are told and drawn

interface Props extends Pick<ViewProps, "api" | "project" | "notify" | "onPlace"> {
  readonly images: Items;
}

export function LabelErrorsView({ api, project, notify, onPlace, images }: Props) {
  const [all, setAll] = useState(false);
  const asked = useAsked(() => labelErrors(api, project.id, all), `${project.id}/${all}`, REFRESH_MS);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [busy, setBusy] = useState(false);
  const again = async () => {
    setBusy(true);
    try {
      notify({ tone: "info", ...askedInWords(await askAgain(api, project.id, [...chosen])) });
      setChosen(new Set());
    } catch (error) {
      notify({ tone: "error", ...describe(error) });
    }
    setBusy(false);
  };
  return (
    <>
      <Back to="All items" testid="back-to-items" onBack={() => onPlace(null)} />
      <Card title="Label errors" testid="label-errors">
        <p className="muted">
          Ground truth that is probably wrong: a model says otherwise that was not trained on it. Whom you ask again
          decides; until then the truth stays. <span className="outline-name truth">ground truth</span>{" "}
          <span className="outline-name prediction">what the model sees</span>
        </p>
        <Fetched asked={asked} what="what may be wrong">
          {(report) => (
            <>
              <p className="muted small" data-testid="label-errors-compared">
                {comparedInWords(report)}{" "}
                {report.more && (
                  <button data-testid="compare-all" disabled={all} onClick={() => setAll(true)}>
                    {all ? "Comparing all…" : `Compare all ${count(report.total)}, which may take minutes`}
                  </button>
                )}
              </p>
              {report.items.length === 0 ? (
                <p data-testid="no-label-error">
                  {report.compared === 0 ? "There is nothing to compare yet." : "Nothing is doubted."}
                </p>
              ) : (
                <>
                  <ChooseRow which="shown" all={report.items.map(({ item_digest }) => item_digest)} chosen={chosen} onChoose={setChosen}>
                    <button
                      className="primary"
                      data-testid="ask-again"
                      disabled={chosen.size === 0 || busy}
                      onClick={() => void again()}
                    >
                      Ask people again for {counted(chosen.size, "chosen item")}
                    </button>
                  </ChooseRow>
                  <ul className="gallery wide">
                    {report.items.map((item) => (
                      <Entry
                        key={item.item_digest}
                        item={item}
                        images={images}
                        chosen={chosen.has(item.item_digest)}
                        onChoose={() => setChosen(toggled(chosen, item.item_digest))}
                        onOpen={() => onPlace(item.item_digest)}
                      />
                    ))}
                  </ul>
                </>
              )}
            </>
          )}
        </Fetched>
      </Card>
    </>
  );
}

interface EntryProps {
  readonly item: DoubtfulItem;
  readonly images: Items;
  readonly chosen: boolean;
  readonly onChoose: () => void;
  readonly onOpen: () => void;
}

function Entry({ item, images, chosen, onChoose, onOpen }: EntryProps) {
  const { item_digest: digest, doubts } = item;
  const worst = doubts.slice(0, WORST);
  const { value: facts } = useLookup(images.facts, digest);
  return (
    <li data-testid={`doubtful-${digest}`}>
      <label className="choice">
        <input type="checkbox" checked={chosen} onChange={onChoose} aria-label={`Choose ${short(digest)}`} />
        <Thumbnail items={images} digest={digest} alt={`Item ${short(digest)}`}>
          {facts && (
            <svg viewBox={`0 0 ${facts.width} ${facts.height}`} aria-hidden="true">
              {outlinesOf(worst).map(({ box: [x = 0, y = 0, right = 0, bottom = 0], of }, number) => (
                <rect key={number} className={of} x={x} y={y} width={right - x} height={bottom - y} />
              ))}
            </svg>
          )}
        </Thumbnail>
      </label>
      <button className="link ellipsis opens-item" title={digest} onClick={onOpen}>
        <code>{digest.slice(0, 8)}</code>
      </button>
      {worst.map((doubt, number) => (
        <span key={number} className="small">
          {doubtInWords(doubt)}
        </span>
      ))}
      {doubts.length > WORST && <span className="muted small">and {doubts.length - WORST} more</span>}
    </li>
  );
}
