import type { SelectionSummary } from "../api/types";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { usePages } from "../app/asked";
import { ago, count, short, shortId } from "../app/format";
import { useNow } from "../app/hooks";
import type { ViewProps } from "../app/view";
import { selectionsAfter } from "./calls";
import { mixInWords, narrowedInWords } from "./wish";

const REFRESH_MS = 15_000;

export function SelectionList({ api, project, onPlace }: ViewProps) {
  const now = useNow(10_000);
  const list = usePages(
    async (after) => {
      const { selections, next } = await selectionsAfter(api, project.id, after);
      return { rows: selections, next };
    },
    project.id,
    REFRESH_MS,
  );
  return (
    <Card title="Selections" testid="selections">
      <Fetched asked={list} what="the selections">
        {({ rows, next }) =>
          rows.length === 0 ? (
            <p className="muted" data-testid="no-selections">
              None yet. Each that queues something is kept, with why each image was chosen.
            </p>
          ) : (
            <>
              <div className="scroll">
                <table className="figures">
                  <thead>
                    <tr>
                      <th scope="col">Selection</th>
                      <th scope="col" className="text">
                        Chosen by
                      </th>
                      <th scope="col" className="text">
                        Among
                      </th>
                      <th scope="col">Queued</th>
                      <th scope="col">Of</th>
                      <th scope="col" className="text">
                        By
                      </th>
                      <th scope="col">When</th>
                    </tr>
                  </thead>
                  <tbody>
                    {rows.map((one) => (
                      <Row key={one.id} one={one} now={now} onOpen={() => onPlace(one.id)} />
                    ))}
                  </tbody>
                </table>
              </div>
              {next !== null && <button onClick={list.more}>Show older selections</button>}
            </>
          )
        }
      </Fetched>
    </Card>
  );
}

interface RowProps {
  readonly one: SelectionSummary;
  readonly now: number;
  readonly onOpen: () => void;
}

function Row({ one, now, onOpen }: RowProps) {
  const { id, mix, conditions, like_items: like, picked, pool, actor, created_at: at } = one;
  const among = [narrowedInWords(conditions), like.length > 0 ? `like ${like.length === 1 ? short(like[0] ?? "") : `${count(like.length)} items`}` : ""]
    .filter((part) => part !== "")
    .join("; ");
  return (
    <tr className="opens" data-testid={`selection-${id}`}>
      <th scope="row">
        <button className="link" onClick={onOpen}>
          <code title={id}>{shortId(id)}</code>
        </button>
      </th>
      <td className="text wraps">{mixInWords(mix)}</td>
      <td className="text wraps">{among || <span className="muted">all</span>}</td>
      <td>{count(picked)}</td>
      <td>{count(pool)}</td>
      <td className="text">{actor}</td>
      <td className="muted">{ago(at, now)}</td>
    </tr>
  );
}
