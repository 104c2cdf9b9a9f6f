import { useMemo, useState } from "react";
import type { Api } from "../api/client";
import { describe } from "../api/problem";
import type { HistoryEntry } from "../api/types";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { SureDialog } from "../app/SureDialog";
import { useAsked } from "../app/asked";
import { moment, short } from "../app/format";
import type { ViewProps } from "../app/view";
import { people } from "../reviewers/calls";
import { ItemPicture } from "./ItemPicture";
import { MoreLikeThis } from "./MoreLikeThis";
import type { Wanted } from "./alike";
import { history, reopen } from "./calls";
import type { LayerName } from "./layers";
import { pathOf, titleOf } from "./names";
import { named, reopenedInWords, saidBy } from "./queries";

const REFRESH_MS = 30_000;

interface Props {
  readonly api: Api;
  readonly project: string;
  readonly notify: ViewProps["notify"];
  readonly digest: string;
  /** Layers of the picture that are not shown. */
  readonly hidden: ReadonlySet<LayerName>;
  readonly onHide: (hidden: ReadonlySet<LayerName>) => void;
}

/** An item's picture with what was found on it and what is true; what happened to it, oldest first; asking people for
 *  it again. */
export function ItemView({ api, project, notify, digest, hidden, onHide }: Props) {
  const item = useAsked(() => api.item(project, digest), digest, REFRESH_MS);
  const asked = useAsked(() => history(api, project, digest), digest, REFRESH_MS);
  const names = usePeopleNames(api);
  const [asking, setAsking] = useState(false);
  const [wanted, setWanted] = useState<Wanted | null>(null);
  const known = item.value;
  const unknown = known === null && item.problem !== null;
  const again = async () => {
    setAsking(false);
    try {
      const detail = reopenedInWords(await reopen(api, project, digest));
      notify({ tone: "info", title: "Re-opened", detail, hint: "" });
    } catch (error) {
      notify({ tone: "error", ...describe(error) });
    }
    await Promise.all([item.refresh(), asked.refresh()]);
  };
  return (
    <>
      <Card
        title={known ? titleOf(known) : `Item ${short(digest)}`}
        tooltip={known ? (pathOf(known) ?? undefined) : undefined}
        testid="item"
        aside={
          <>
            <code className="whole">{digest}</code>
            <span className="grow" />
            {known?.prediction && (
              <button data-testid="more-like-this" onClick={() => setWanted({ digest, box: null })}>
                More like this
              </button>
            )}
            {!unknown && (
              <button data-testid="reopen-item" onClick={() => setAsking(true)}>
                Re-open
              </button>
            )}
          </>
        }
      >
        <Fetched asked={item} what="the item">
          {(value) => (
            <ItemPicture
              api={api}
              item={value}
              hidden={hidden}
              onHide={onHide}
              onLikeBox={(number, words) => setWanted({ digest, box: { number, words } })}
            />
          )}
        </Fetched>
      </Card>
      {wanted && (
        <MoreLikeThis
          key={JSON.stringify(wanted)}
          api={api}
          project={project}
          wanted={wanted}
          notify={notify}
          onClose={() => setWanted(null)}
        />
      )}
      {!unknown && (
        <Card title="History" testid="item-history">
          <Fetched asked={asked} what="its history">
            {({ entries }) => (
              <ol className="lines">
                {entries.map((entry, number) => (
                  <Entry key={number} entry={entry} names={names} />
                ))}
              </ol>
            )}
          </Fetched>
        </Card>
      )}
      {asking && (
        <SureDialog
          title="Re-open this item"
          name="Re-open"
          onClose={() => setAsking(false)}
          onSure={() => void again()}
        >
          <p>
            All closed work on it is asked for again, of whomever. What was answered stays, and so does the truth until
            the new answers make its next version.
          </p>
        </SureDialog>
      )}
    </>
  );
}

interface EntryProps {
  readonly entry: HistoryEntry;
  readonly names: ReadonlyMap<string, string>;
}

function Entry({ entry, names }: EntryProps) {
  const { at, kind, id, actor, body } = entry;
  return (
    <li className="entry" data-testid={`entry-${kind}`} data-id={id}>
      <span className="muted small">{moment(at)}</span>
      <div>
        <span className="badge">{kind}</span>{" "}
        <code className="small" title={id}>
          {named(id, names)}
        </code>
        {actor && <span className="muted small"> by {named(actor, names)}</span>}
        <p className="small">{saidBy(entry, names)}</p>
        <details>
          <summary className="muted small">All of it</summary>
          <pre className="body-text">{JSON.stringify({ id, actor, ...body }, null, 2)}</pre>
        </details>
      </div>
    </li>
  );
}

/** By the ids of their tokens. Without them ids are told: a name is worth no error. */
function usePeopleNames(api: Api): ReadonlyMap<string, string> {
  const { value } = useAsked(() => people(api), "people", REFRESH_MS);
  return useMemo(() => new Map(value?.map(({ token_id, name }) => [token_id, name])), [value]);
}
