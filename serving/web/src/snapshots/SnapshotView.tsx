import { useState } from "react";
import type { Snapshot } from "../api/types";
import { Back } from "../app/Back";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { useAsked } from "../app/asked";
import { counted } from "../app/figures";
import { count, short, shortId } from "../app/format";
import type { ViewProps } from "../app/view";
import { fragmentOf } from "../session/route";
import { DownloadDialog } from "./DownloadDialog";
import { snapshot } from "./calls";

const REFRESH_MS = 60_000;

/** Images and boxes of each side of the split. */
export function SnapshotView({ api, project, notify, onPlace, digest }: ViewProps & { readonly digest: string }) {
  const asked = useAsked(() => snapshot(api, project.id, digest), digest, REFRESH_MS);
  const [downloading, setDownloading] = useState(false);
  return (
    <>
      <Back to="All snapshots" testid="back-to-snapshots" onBack={() => onPlace(null)} />
      <Card
        title="Snapshot"
        testid="snapshot"
        aside={
          <>
            <code title={digest}>{short(digest)}</code>
            <span className="grow" />
            <button data-testid="download" disabled={asked.value === null} onClick={() => setDownloading(true)}>
              Download…
            </button>
          </>
        }
      >
        <Fetched asked={asked} what="the snapshot">
          {(found) => <Counts project={project.id} found={found} />}
        </Fetched>
      </Card>
      {downloading && (
        <DownloadDialog
          api={api}
          project={project.id}
          digest={digest}
          notify={notify}
          onClose={() => setDownloading(false)}
        />
      )}
    </>
  );
}

function Counts({ project, found }: { readonly project: string; readonly found: Snapshot }) {
  const { labels, counts, left_out, cycles } = found;
  const splits = Object.entries(counts);
  return (
    <>
      <p className="muted small">
        Cycles:{" "}
        {cycles.map((cycle, number) => (
          <span key={cycle}>
            {number > 0 && ", "}
            <a href={fragmentOf(project, "overview", cycle)} title={cycle}>
              {shortId(cycle)}
            </a>
          </span>
        ))}
      </p>
      {Object.entries(left_out).map(([why, images]) => (
        <p key={why} className="muted small">
          Left out of training: {counted(images, "image")} ({why}).
        </p>
      ))}
      <div className="scroll">
        <table className="figures">
          <thead>
            <tr>
              <th scope="col" />
              {splits.map(([split]) => (
                <th key={split} scope="col">
                  {split}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            <tr className="total">
              <th scope="row">Images</th>
              {splits.map(([split, { images }]) => (
                <td key={split}>{count(images)}</td>
              ))}
            </tr>
            {labels.map((label) => (
              <tr key={label}>
                <th scope="row">{label}</th>
                {splits.map(([split, { boxes }]) => (
                  <td key={split}>{count(boxes[label] ?? 0)}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}
