import { useState } from "react";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { usePages } from "../app/asked";
import { NOTHING } from "../app/figures";
import { ago, count, short, shortId } from "../app/format";
import { useNow } from "../app/hooks";
import type { ViewProps } from "../app/view";
import { fragmentOf } from "../session/route";
import { ExportDialog } from "../datasets/ExportDialog";
import { DownloadDialog } from "./DownloadDialog";
import { snapshotsAfter } from "./calls";
import { type Used, bySnapshot, itemsOf, placeOfDiff, splitsInWords } from "./snapshots";

const REFRESH_MS = 30_000;

export function SnapshotList({ api, project, notify, onPlace }: ViewProps) {
  const now = useNow(10_000);
  const [chosen, setChosen] = useState<readonly string[]>([]);
  const [wanted, setWanted] = useState<string | null>(null);
  const [exporting, setExporting] = useState(false);
  const asked = usePages(
    async (after) => {
      const { snapshots, next } = await snapshotsAfter(api, project.id, after);
      return { rows: snapshots, next };
    },
    project.id,
    REFRESH_MS,
  );
  // The two that were chosen last.
  const choose = (digest: string) =>
    setChosen(chosen.includes(digest) ? chosen.filter((one) => one !== digest) : [...chosen.slice(-1), digest]);
  const compare = (rows: readonly Used[]) => {
    const [after, before] = rows.filter(({ digest }) => chosen.includes(digest));
    if (before && after) onPlace(placeOfDiff(before.digest, after.digest));
  };
  return (
    <Card
      title="Snapshots"
      testid="snapshots"
      aside={
        <>
          <span className="grow" />
          <button data-testid="export" title="What is true now, without a snapshot" onClick={() => setExporting(true)}>
            Export the ground truth…
          </button>
          <button
            data-testid="compare"
            disabled={chosen.length !== 2}
            title="Choose two in the list"
            onClick={() => compare(bySnapshot(asked.value?.rows ?? []))}
          >
            Compare two
          </button>
        </>
      }
    >
      <p className="muted">Which images a cycle learned from and was judged by, with whose ground truth; never changed.</p>
      <Fetched asked={asked} what="the snapshots">
        {({ rows, next }) =>
          rows.length === 0 && next === null ? (
            <p className="muted" data-testid="no-snapshots">
              None yet. A cycle begins with one.
            </p>
          ) : (
            <>
              <div className="scroll">
                <table className="figures">
                  <thead>
                    <tr>
                      <th scope="col">Snapshot</th>
                      <th scope="col">When</th>
                      <th scope="col">Items</th>
                      <th scope="col" className="text">
                        Splits
                      </th>
                      <th scope="col">Boxes</th>
                      <th scope="col">Classes</th>
                      <th scope="col" className="text">
                        Cycles
                      </th>
                      <th scope="col">
                        <span className="visually-hidden">What can be done</span>
                      </th>
                    </tr>
                  </thead>
                  <tbody>
                    {bySnapshot(rows).map((one) => (
                      <Row
                        key={one.digest}
                        used={one}
                        project={project.id}
                        now={now}
                        chosen={chosen.includes(one.digest)}
                        onChoose={() => choose(one.digest)}
                        onOpen={() => onPlace(one.digest)}
                        onDownload={() => setWanted(one.digest)}
                      />
                    ))}
                  </tbody>
                </table>
              </div>
              {next !== null && <button onClick={asked.more}>Show older snapshots</button>}
            </>
          )
        }
      </Fetched>
      {wanted !== null && (
        <DownloadDialog
          api={api}
          project={project.id}
          digest={wanted}
          notify={notify}
          onClose={() => setWanted(null)}
        />
      )}
      {exporting && (
        <ExportDialog api={api} project={project.id} notify={notify} onClose={() => setExporting(false)} />
      )}
    </Card>
  );
}

interface RowProps {
  readonly used: Used;
  readonly project: string;
  readonly now: number;
  readonly chosen: boolean;
  readonly onChoose: () => void;
  readonly onOpen: () => void;
  readonly onDownload: () => void;
}

function Row({ used, project, now, chosen, onChoose, onOpen, onDownload }: RowProps) {
  const { digest, at, boxes, labels, cycles } = used;
  const [newest = "", ...earlier] = cycles;
  return (
    <tr className="opens" data-testid={`snapshot-${digest}`}>
      <th scope="row">
        <input type="checkbox" checked={chosen} onChange={onChoose} aria-label={`Compare ${short(digest)}`} />{" "}
        <button className="link" title={digest} onClick={onOpen}>
          <code>{short(digest)}</code>
        </button>
      </th>
      <td className="muted">{ago(at, now)}</td>
      <td>{itemsOf(used)}</td>
      <td className="text">{splitsInWords(used)}</td>
      <td>{boxes === null ? NOTHING : count(boxes)}</td>
      <td>{labels === null ? NOTHING : count(labels)}</td>
      <td className="text">
        <a href={fragmentOf(project, "overview", newest)} title={newest}>
          {shortId(newest)}
        </a>
        {earlier.length > 0 && (
          <span className="muted small" title={earlier.join("\n")}>
            {" "}
            and {count(earlier.length)} more
          </span>
        )}
      </td>
      <td>
        <button data-testid={`download-${digest}`} onClick={onDownload}>
          Download…
        </button>
      </td>
    </tr>
  );
}
