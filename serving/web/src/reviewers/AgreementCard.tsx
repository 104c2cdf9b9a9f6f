import { useState } from "react";
import type { Agreement, Person } from "../api/types";
import { Card, Tile } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { useAsked } from "../app/asked";
import { counted, fixed, shareOf } from "../app/figures";
import { count } from "../app/format";
import type { ViewProps } from "../app/view";
import { agreement, people } from "./calls";
import { alphaInWords, pairsOf } from "./reviewers";

const REFRESH_MS = 60_000; // over hundreds of works it takes a while
const LASTS = [50, 200, 1000];

export function AgreementCard({ api, project }: ViewProps) {
  const [works, setWorks] = useState(200);
  const asked = useAsked(
    async () => {
      const [found, everybody] = await Promise.all([agreement(api, project.id, works), people(api)]);
      return { found, everybody };
    },
    `${project.id}/${works}`,
    REFRESH_MS,
  );
  return (
    <Card
      title="Agreement"
      testid="agreement"
      aside={
        <>
          <span className="grow" />
          <select
            aria-label="Over how many works"
            value={works}
            onChange={(event) => setWorks(Number(event.target.value))}
          >
            {LASTS.map((last) => (
              <option key={last} value={last}>
                the last {count(last)} works
              </option>
            ))}
          </select>
        </>
      }
    >
      <Fetched asked={asked} what="how far people agree">
        {({ found, everybody }) =>
          found.works === 0 ? (
            <p className="muted">
              No item was answered by several people. <code>queue.people</code> and <code>queue.people_share</code> in
              the policy ask more than one.
            </p>
          ) : (
            <Figures found={found} everybody={everybody} />
          )
        }
      </Fetched>
    </Card>
  );
}

function Figures({ found, everybody }: { readonly found: Agreement; readonly everybody: readonly Person[] }) {
  const { alpha } = found;
  return (
    <>
      <div className="tiles">
        <Tile name="F1 between people" value={fixed(found.f1)} detail={`over ${counted(found.works, "work")}`} />
        <Tile name="IoU of matched shapes" value={fixed(found.iou)} detail="1: the same outline" />
        <Tile name="Another person decided" value={shareOf(found.adjudicated)} detail="of the works" />
        <Tile name="Alpha, where shapes are" value={fixed(alpha.boxes)} detail={alphaInWords(alpha.boxes)} />
        <Tile name="Alpha, their labels" value={fixed(alpha.labels)} detail={alphaInWords(alpha.labels)} />
      </div>
      <p className="muted small">
        Alpha is Krippendorff’s, over the newest {counted(alpha.works, "work")}: 1 is perfect, 0 what chance gives.
      </p>
      {found.pairs.length > 0 && (
        <table className="figures">
          <thead>
            <tr>
              <th scope="col">Pair, those that agree least first</th>
              <th scope="col">Works</th>
              <th scope="col">F1</th>
              <th scope="col">IoU</th>
            </tr>
          </thead>
          <tbody>
            {pairsOf(found, everybody).map((pair) => (
              <tr key={pair.reviewers.join("/")}>
                <th scope="row">{pair.names}</th>
                <td>{count(pair.works)}</td>
                <td>{fixed(pair.f1)}</td>
                <td>{fixed(pair.iou)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}
