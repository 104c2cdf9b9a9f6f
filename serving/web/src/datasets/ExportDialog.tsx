/** The present ground truth as a file, in a format that is chosen. */
import { useState } from "react";
import type { Api } from "../api/client";
import { Confirm } from "../app/Asking";
import { Dialog } from "../app/Dialog";
import { Fetched } from "../app/Fetched";
import { useAsked } from "../app/asked";
import type { ViewProps } from "../app/view";
import { downloadExport, formats, previewExport } from "./calls";
import { exportInWords } from "./datasets";

const RARELY_MS = 3_600_000;

interface Props extends Pick<ViewProps, "notify"> {
  readonly api: Api;
  readonly project: string;
  readonly onClose: () => void;
}

export function ExportDialog({ api, project, notify, onClose }: Props) {
  const [format, setFormat] = useState("coco");
  const [images, setImages] = useState(true);
  const [busy, setBusy] = useState(false);
  const known = useAsked(() => formats(api), "formats", RARELY_MS);
  const preview = useAsked(() => previewExport(api, project, format), format, RARELY_MS);
  const fetched = async () => {
    setBusy(true);
    try {
      await downloadExport(api, project, format, images);
    } finally {
      setBusy(false);
    }
    notify({ tone: "info", title: "Ground truth exported", detail: `${project} as ${format}.`, hint: "" });
    onClose();
  };
  return (
    <Dialog title="Export the ground truth" onClose={onClose} onSubmit={fetched} testid="export-dialog">
      <Fetched asked={known} what="the formats">
        {({ formats: all }) => (
          <label className="field">
            <span>Format</span>
            <select
              data-testid="export-format"
              data-first
              value={format}
              onChange={(event) => setFormat(event.target.value)}
            >
              {all.map(({ name, title }) => (
                <option key={name} value={name}>
                  {title}
                </option>
              ))}
            </select>
          </label>
        )}
      </Fetched>
      <label className="check">
        <input
          type="checkbox"
          data-testid="export-images"
          checked={images}
          onChange={(event) => setImages(event.target.checked)}
        />
        With the image files
      </label>
      <Fetched asked={preview} what="what it would hold">
        {(value) => {
          const { holds, lacks } = exportInWords(value);
          return (
            <div data-testid="export-preview">
              <p>{holds}</p>
              {lacks && <p className="callout warn">{lacks}</p>}
            </div>
          );
        }}
      </Fetched>
      <p className="muted small">
        A ZIP; askance-export.txt in it says the same. The browser keeps all of it before it is saved: for a large one use{" "}
        <code>
          askance export FOLDER -p {project} -f {format} --url …
        </code>
      </p>
      {busy && (
        <p className="muted" role="status">
          It is being fetched; this may take a while.
        </p>
      )}
      <Confirm name="Download" disabled={busy} onClose={onClose} />
    </Dialog>
  );
}
