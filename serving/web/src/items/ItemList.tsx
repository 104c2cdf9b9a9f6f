import { useState } from "react";
import type { ListedItem } from "../api/types";
import { ADD } from "../adding/adding";
import { closing } from "../app/act";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { useAsked } from "../app/asked";
import { counted } from "../app/figures";
import { count, short } from "../app/format";
import "../app/gallery.css";
import type { ViewProps } from "../app/view";
import { Thumbnail } from "../map/Thumbnail";
import type { Items } from "../map/items";
import { AskDialog } from "./AskDialog";
import { GroupDialog } from "./GroupDialog";
import { QueryForm } from "./QueryForm";
import { TagDialog, type Tagging } from "./TagDialog";
import { ViewsRow } from "./ViewsRow";
import { find, tag } from "./calls";
import { LABEL_ERRORS } from "./labelErrors";
import { LABEL_STUDIO } from "./labelStudio";
import { fileOf, pathOf } from "./names";
import { type Asked, countInWords, riskInWords, standingOf } from "./queries";

const REFRESH_MS = 30_000;
const RISK = "How likely the model's prediction is wrong; yellow: it went to a person for that";

interface Props extends Pick<ViewProps, "api" | "project" | "notify" | "onPlace"> {
  readonly images: Items;
  readonly asked: Asked;
  readonly onAsk: (asked: Asked) => void;
}

export function ItemList({ api, project, notify, onPlace, images, asked, onAsk }: Props) {
  const about = JSON.stringify(asked);
  const [wanted, setWanted] = useState({ about, pages: 1 });
  const pages = wanted.about === about ? wanted.pages : 1;
  const list = useAsked(() => find(api, project.id, asked, pages), `${about}#${pages}`, REFRESH_MS);
  const found = list.value !== null && "rows" in list.value ? list.value : null;
  const bad = list.value !== null && "position" in list.value ? list.value : null;
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [tagging, setTagging] = useState<"chosen" | "query" | null>(null);
  const [grouping, setGrouping] = useState(false);
  const [asking, setAsking] = useState(false);

  const choose = (digest: string) => {
    const next = new Set(chosen);
    if (!next.delete(digest)) next.add(digest);
    setChosen(next);
  };

  const ask = (next: Asked) => {
    setChosen(new Set());
    onAsk(next);
  };

  const change = async (tags: Tagging) => {
    const which = tagging === "query" ? { query: asked.query } : { items: [...chosen] };
    await closing(notify, list.refresh, () => setTagging(null))(
      tag(api, project.id, { ...tags, ...which }),
      "Tags changed",
      [
        tags.add.length > 0 ? `added: ${tags.add.join(", ")}` : "",
        tags.remove.length > 0 ? `removed: ${tags.remove.join(", ")}` : "",
      ]
        .filter((part) => part !== "")
        .join("; "),
    );
    setChosen(new Set());
  };

  return (
    <Card
      title="Items"
      testid="items"
      aside={
        <>
          {found && (
            <span className="muted small" data-testid="items-count">
              {countInWords(found)}
            </span>
          )}
          <span className="grow" />
          <button data-testid="add-images" onClick={() => onPlace(ADD)}>
            Add images
          </button>
          <button data-testid="ask-people" onClick={() => setAsking(true)}>
            Ask people…
          </button>
          <button data-testid="open-label-errors" onClick={() => onPlace(LABEL_ERRORS)}>
            Label errors
          </button>
          <button data-testid="open-label-studio" onClick={() => onPlace(LABEL_STUDIO)}>
            Label Studio
          </button>
        </>
      }
    >
      <ViewsRow api={api} project={project.id} notify={notify} asked={asked} onAsk={ask} readable={found !== null} />
      <QueryForm asked={asked} bad={list.old ? null : bad} onAsk={ask} />
      <Fetched asked={list} what="the items">
        {() =>
          found === null ? null : found.rows.length === 0 ? (
            asked.query === "" ? (
              <NoItem onAdd={() => onPlace(ADD)} />
            ) : (
              <p className="muted">No item meets the query.</p>
            )
          ) : (
            <>
              <div className="chooser">
                <button
                  disabled={chosen.size === found.rows.length}
                  data-testid="choose-all"
                  onClick={() => setChosen(new Set(found.rows.map(({ digest }) => digest)))}
                >
                  Choose all {count(found.rows.length)} shown
                </button>
                <button disabled={chosen.size === 0} onClick={() => setChosen(new Set())}>
                  Choose none
                </button>
                <span className="grow" />
                <button data-testid="group-chosen" disabled={chosen.size === 0} onClick={() => setGrouping(true)}>
                  Group {counted(chosen.size, "chosen item")}…
                </button>
                <button data-testid="tag-chosen" disabled={chosen.size === 0} onClick={() => setTagging("chosen")}>
                  Tag {counted(chosen.size, "chosen item")}
                </button>
                <button data-testid="tag-query" disabled={list.old} onClick={() => setTagging("query")}>
                  Tag all that meet the query
                </button>
              </div>
              <ul className="gallery">
                {found.rows.map((item) => (
                  <Entry
                    key={item.digest}
                    item={item}
                    images={images}
                    chosen={chosen.has(item.digest)}
                    onChoose={() => choose(item.digest)}
                    onOpen={() => onPlace(item.digest)}
                  />
                ))}
              </ul>
              {found.next !== null && (
                <button data-testid="more-items" onClick={() => setWanted({ about, pages: pages + 1 })}>
                  Show more
                </button>
              )}
            </>
          )
        }
      </Fetched>
      {tagging !== null && found && (
        <TagDialog
          which={tagging === "chosen" ? counted(chosen.size, "chosen item") : countInWords(found)}
          query={tagging === "query" ? asked.query : null}
          onClose={() => setTagging(null)}
          onTag={change}
        />
      )}
      {asking && (
        <AskDialog api={api} project={project.id} budget={50} notify={notify} onClose={() => setAsking(false)} />
      )}
      {grouping && found && (
        <GroupDialog
          api={api}
          project={project.id}
          items={found.rows.filter(({ digest }) => chosen.has(digest))}
          notify={notify}
          onClose={() => setGrouping(false)}
          onMade={() => {
            setGrouping(false);
            setChosen(new Set());
          }}
        />
      )}
    </Card>
  );
}

function NoItem({ onAdd }: { readonly onAdd: () => void }) {
  return (
    <div className="calm within-card" data-testid="no-item">
      <h3>No item yet</h3>
      <p className="muted">Each image that is added, predicted or imported is one.</p>
      <button className="primary" onClick={onAdd}>
        Add images
      </button>
    </div>
  );
}

interface EntryProps {
  readonly item: ListedItem;
  readonly images: Items;
  readonly chosen: boolean;
  readonly onChoose: () => void;
  readonly onOpen: () => void;
}

function Entry({ item, images, chosen, onChoose, onOpen }: EntryProps) {
  const { digest, source, risk, decision, tags } = item;
  const path = pathOf(item);
  return (
    <li data-testid={`item-${digest}`}>
      <label className="choice">
        <input type="checkbox" checked={chosen} onChange={onChoose} aria-label={`Choose ${short(digest)}`} />
        <Thumbnail items={images} digest={digest} alt={`Item ${short(digest)}`} />
      </label>
      <button className="link ellipsis opens-item" title={path ?? digest} onClick={onOpen}>
        {path === null ? <code>{digest.slice(0, 8)}</code> : fileOf(path)}
      </button>
      {path !== null && (
        <code className="muted small" title={digest}>
          {digest.slice(0, 8)}
        </code>
      )}
      <div className="row">
        <span className="muted small ellipsis grow" title={source}>
          {source || "no source"}
        </span>
        {risk !== null && (
          <span className={decision === "review" ? "badge warn" : "badge"} title={RISK}>
            {riskInWords(risk)}
          </span>
        )}
      </div>
      <span className="muted small">{standingOf(item)}</span>
      {tags.length > 0 && (
        <span className="tags">
          {tags.map((one) => (
            <span key={one} className="badge info">
              {one}
            </span>
          ))}
        </span>
      )}
    </li>
  );
}
