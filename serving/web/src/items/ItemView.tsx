import type { Api } from "../api/client";
import type { HistoryEntry } from "../api/types";
import { Back } from "../app/Back";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { useAsked } from "../app/asked";
import { moment } from "../app/figures";
import { short } from "../app/format";
import { Thumbnail } from "../map/Thumbnail";
import type { Items } from "../map/items";
import { history } from "./calls";
import { saidBy } from "./queries";

const REFRESH_MS = 30_000;

interface Props {
  readonly api: Api;
  readonly project: string;
  readonly images: Items;
  readonly digest: string;
  readonly onBack: () => void;
}

/** What happened to an item, oldest first. */
export function ItemView({ api, project, images, digest, onBack }: Props) {
  const asked = useAsked(() => history(api, project, digest), digest, REFRESH_MS);
  return (
    <>
      <Back to="All items" testid="back-to-items" onBack={onBack} />
      <Card title={`Item ${short(digest)}`} testid="item-history" aside={<code className="whole">{digest}</code>}>
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
