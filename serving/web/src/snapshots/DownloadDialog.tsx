import { useState } from "react";
import type { Api } from "../api/client";
import { Confirm } from "../app/Asking";
import { Dialog } from "../app/Dialog";
import { short } from "../app/format";
import type { ViewProps } from "../app/view";
import { download } from "./calls";
import { FORMATS } from "./snapshots";

interface Props extends Pick<ViewProps, "notify"> {
  readonly api: Api;
  readonly project: string;
  readonly digest: string;
  readonly onClose: () => void;
}

export function DownloadDialog({ api, project, digest, notify, onClose }: Props) {
  const [format, setFormat] = useState("coco");
  const [busy, setBusy] = useState(false);
  const fetched = async () => {
    setBusy(true);
    try {
      await download(api, project, digest, format);
    } finally {
      setBusy(false);
    }
    notify({ tone: "info", title: "Snapshot downloaded", detail: `${short(digest)} as ${format}.`, hint: "" });
    onClose();
  };
  return (
    <Dialog title={`Download ${short(digest)}`} onClose={onClose} onSubmit={fetched} testid="download-dialog">
      <label className="field">
        <span>Format</span>
        <select data-testid="format" data-first value={format} onChange={(event) => setFormat(event.target.value)}>
          {Object.entries(FORMATS).map(([name, called]) => (
            <option key={name} value={name}>
              {called}
            </option>
          ))}
        </select>
      </label>
      <p className="muted small">
        A ZIP with the images, without those that were dropped since; askance-export.txt in it says what the format cannot
        hold. The browser keeps all of it before it is saved: for a large one use{" "}
        <code>
          askance snapshot export {short(digest)} FOLDER -f {format} --url …
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
