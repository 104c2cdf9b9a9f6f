import { type DragEvent, useRef, useState } from "react";
import { ACCEPTED, type Picture } from "./adding";
import { chosenFiles } from "./dropped";

interface Props {
  readonly onFiles: (files: Picture[]) => void;
  readonly onDrop: (event: DragEvent) => void;
}

/** Takes files and folders, dropped or chosen. */
export function DropZone({ onFiles, onDrop }: Props) {
  const [over, setOver] = useState(false);
  const files = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const input = (of: typeof files, testid: string, rest: object) => (
    <input
      ref={of}
      type="file"
      multiple
      hidden
      data-testid={testid}
      onChange={(event) => {
        onFiles(chosenFiles(event.target.files));
        event.target.value = ""; // the same files can be chosen again
      }}
      {...rest}
    />
  );
  return (
    <div
      className={over ? "drop-zone over" : "drop-zone"}
      data-testid="drop-zone"
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        onDrop(event);
      }}
    >
      <svg viewBox="0 0 32 32" aria-hidden="true">
        <path
          d="M16 21V6m-6 6 6-6 6 6M5 21v4a2 2 0 0 0 2 2h18a2 2 0 0 0 2-2v-4"
          fill="none"
          stroke="currentColor"
          strokeWidth="2"
          strokeLinecap="round"
          strokeLinejoin="round"
        />
      </svg>
      <p>
        <strong>Drop images or folders here</strong>
      </p>
      <p className="muted small">JPEG, PNG or WebP, as many as you like</p>
      <div className="row">
        <button type="button" onClick={() => files.current?.click()}>
          Choose files
        </button>
        <button type="button" onClick={() => folder.current?.click()}>
          Choose a folder
        </button>
      </div>
      {input(files, "image-files", { accept: ACCEPTED })}
      {input(folder, "image-folder", { webkitdirectory: "" })}
    </div>
  );
}
