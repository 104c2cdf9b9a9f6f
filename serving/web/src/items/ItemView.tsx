import { useState } from "react";
import type { Api } from "../api/client";
import { describe } from "../api/problem";
import type { HistoryEntry } from "../api/types";
import { Back } from "../app/Back";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { SureDialog } from "../app/SureDialog";
import { useAsked } from "../app/asked";
import { moment } from "../app/figures";
import { short } from "../app/format";
import type { ViewProps } from "../app/view";
import { Thumbnail } from "../map/Thumbnail";
import type { Items } from "../map/items";
import { history, reopen } from "./calls";
import { reopenedInWords, saidBy } from "./queries";

const REFRESH_MS = 30_000;

interface Props {
  readonly api: Api;
  readonly project: string;
  readonly images: Items;
  readonly notify: ViewProps["notify"];
  readonly digest: string;
  readonly onBack: () => void;
}

/** What happened to an item, oldest first; asking people for it again. */
export function ItemView({ api, project, images, notify, digest, onBack }: Props) {
  const asked = useAsked(() => history(api, project, digest), digest, REFRESH_MS);
  const [asking, setAsking] = useState(false);
  const again = async () => {
    setAsking(false);
    try {
      const detail = reopenedInWords(await reopen(api, project, digest));
      notify({ tone: "info", title: "Re-opened", detail, hint: "" });
    } catch (error) {
      notify({ tone: "error", ...describe(error) });
    }
    await asked.refresh();
  };
  return (
    <>
      <Back to="All items" testid="back-to-items" onBack={onBack} />
      <Card
        title={`Item ${short(digest)}`}
        testid="item-history"
        aside={
          <>
            <code className="whole">{digest}</code>
            <span className="grow" />
            <button data-testid="reopen-item" onClick={() => setAsking(true)}>
              Re-open
            </button>
          </>
        }
      >
        <div className="large">
          <Thumbnail items={images} digest={digest} alt={`Item ${short(digest)}`} />
        </div>
        <Fetched asked={asked} what="its history">
          {({ entries }) => (
            <ol className="lines">
              {entries.map((entry, number) => (
                <Entry key={number} entry={entry} />
              ))}
            </ol>
          )}
        </Fetched>
      </Card>
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

function Entry({ entry }: { readonly entry: HistoryEntry }) {
  const { at, kind, id, actor, body } = entry;
  return (
    <li className="entry" data-testid={`entry-${kind}`}>
      <span className="muted small">{moment(at)}</span>
      <div>
        <span className="badge">{kind}</span> <code className="small">{id}</code>
        {actor && <span className="muted small"> by {actor}</span>}
        <p className="small">{saidBy(entry)}</p>
        <details>
          <summary className="muted small">All of it</summary>
          <pre className="body-text">{JSON.stringify(body, null, 2)}</pre>
        </details>
      </div>
    </li>
  );
}
