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
import { markAllGolden } from "../reviewers/calls";
import { madeGoldenInWords } from "../reviewers/reviewers";
import { AskDialog } from "./AskDialog";
import { AskForDialog } from "./AskForDialog";
import { ChooseRow, toggled } from "./ChooseRow";
import { GroupDialog } from "./GroupDialog";
import { MakeGoldenDialog } from "./MakeGoldenDialog";
import { QueryForm } from "./QueryForm";
import { TagDialog, type Tagging } from "./TagDialog";
import { ViewsRow } from "./ViewsRow";
import { askedInWords } from "./asking";
import { askFor, find, tag } from "./calls";
import { LABEL_ERRORS } from "./labelErrors";
import { LABEL_STUDIO } from "./labelStudio";
import { fileOf, pathOf } from "./names";
import { type Asked, countInWords, riskInWords, standingOf } from "./queries";
import { type Walk, walkThrough } from "./walk";

const REFRESH_MS = 30_000;
const RISK = "How likely the model's prediction is wrong; yellow: it went to a person for that";

interface Props extends Pick<ViewProps, "api" | "project" | "notify" | "onPlace"> {
  readonly images: Items;
  readonly asked: Asked;
  /** How many of the list are shown. */
  readonly pages: number;
  readonly chosen: ReadonlySet<string>;
  /** Of these the one that was looked at last, where the list is come back to. */
  readonly opened: string | null;
  readonly onAsk: (asked: Asked) => void;
  readonly onMore: () => void;
  readonly onChoose: (chosen: ReadonlySet<string>) => void;
  readonly onOpen: (digest: string, from: Walk) => void;
}

export function ItemList(props: Props) {
  const { api, project, notify, onPlace, images, asked, pages, chosen, opened, onAsk, onMore, onChoose, onOpen } = props;
  const list = useAsked(() => find(api, project.id, asked, pages), JSON.stringify([asked, pages]), REFRESH_MS);
  const found = list.value !== null && "rows" in list.value ? list.value : null;
  const bad = list.value !== null && "position" in list.value ? list.value : null;
  const [tagging, setTagging] = useState<"chosen" | "query" | null>(null);
  const [grouping, setGrouping] = useState(false);
  const [asking, setAsking] = useState<"best" | "chosen" | "query" | null>(null);
  const [trusting, setTrusting] = useState(false);

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
    onChoose(new Set());
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
          <button data-testid="ask-people" title="Asks people for the images from which most is learned" onClick={() => setAsking("best")}>
            Ask for the best…
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
      <ViewsRow api={api} project={project.id} notify={notify} asked={asked} onAsk={onAsk} readable={found !== null} />
      <QueryForm asked={asked} bad={list.old ? null : bad} onAsk={onAsk} />
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
              <ChooseRow which="shown" all={found.rows.map(({ digest }) => digest)} chosen={chosen} onChoose={onChoose}>
                <span className="bulk" role="group" aria-label="Chosen items">
                  <span className="muted">{count(chosen.size)} chosen:</span>
                  <button data-testid="ask-chosen" disabled={chosen.size === 0} onClick={() => setAsking("chosen")}>
                    Ask people…
                  </button>
                  <button data-testid="golden-chosen" disabled={chosen.size === 0} onClick={() => setTrusting(true)}>
                    Make golden…
                  </button>
                  <button data-testid="tag-chosen" disabled={chosen.size === 0} onClick={() => setTagging("chosen")}>
                    Tag…
                  </button>
                  <button data-testid="group-chosen" disabled={chosen.size === 0} onClick={() => setGrouping(true)}>
                    Group…
                  </button>
                </span>
                <span className="bulk" role="group" aria-label="All that meet the query">
                  <span className="muted">{asked.query === "" ? "All items:" : "All that meet the query:"}</span>
                  <button
                    data-testid="ask-query"
                    disabled={list.old || found.more}
                    title={found.more ? `They are ${countInWords(found)}: narrow the query first` : undefined}
                    onClick={() => setAsking("query")}
                  >
                    Ask people…
                  </button>
                  <button data-testid="tag-query" disabled={list.old} onClick={() => setTagging("query")}>
                    Tag…
                  </button>
                </span>
              </ChooseRow>
              <ul className="gallery">
                {found.rows.map((item) => (
                  <Entry
                    key={item.digest}
                    item={item}
                    images={images}
                    chosen={chosen.has(item.digest)}
                    opened={item.digest === opened}
                    onChoose={() => onChoose(toggled(chosen, item.digest))}
                    onOpen={() => onOpen(item.digest, walkThrough(found))}
                  />
                ))}
              </ul>
              {found.next !== null && (
                <button data-testid="more-items" onClick={onMore}>
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
      {asking === "best" && (
        <AskDialog api={api} project={project.id} budget={50} notify={notify} onClose={() => setAsking(null)} />
      )}
      {asking !== null && asking !== "best" && found && (
        <AskForDialog
          which={asking === "chosen" ? counted(chosen.size, "chosen item") : countInWords(found)}
          query={asking === "query" ? asked.query : null}
          onClose={() => setAsking(null)}
          onAsk={async (reason) => {
            const which = asking === "query" ? { query: asked.query } : { items: [...chosen] };
            notify({ tone: "info", ...askedInWords(await askFor(api, project.id, reason, which)) });
            setAsking(null);
            onChoose(new Set());
            await list.refresh();
          }}
        />
      )}
      {trusting && found && (
        <MakeGoldenDialog
          items={found.rows.filter(({ digest }) => chosen.has(digest))}
          onClose={() => setTrusting(false)}
          onMake={async (digests) => {
            const refused = await markAllGolden(api, project.id, digests);
            const made = digests.length - refused.length;
            notify({ tone: made === 0 ? "error" : "info", ...madeGoldenInWords(made, refused) });
            setTrusting(false);
            onChoose(new Set());
          }}
        />
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
            onChoose(new Set());
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
  /** Whether one comes back from it: then it has the focus, which brings it into sight. */
  readonly opened: boolean;
  readonly onChoose: () => void;
  readonly onOpen: () => void;
}

function Entry({ item, images, chosen, opened, onChoose, onOpen }: EntryProps) {
  const { digest, source, risk, decision, tags } = item;
  const path = pathOf(item);
  return (
    <li data-testid={`item-${digest}`}>
      <label className="choice">
        <input type="checkbox" checked={chosen} onChange={onChoose} aria-label={`Choose ${short(digest)}`} />
        <Thumbnail items={images} digest={digest} alt={`Item ${short(digest)}`} />
      </label>
      <button className="link ellipsis opens-item" title={path ?? digest} autoFocus={opened} onClick={onOpen}>
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
