/** A video into frames. */
import { type FormEvent, useState } from "react";
import type { Api } from "../api/client";
import type { Described } from "../api/problem";
import { Card } from "../app/Card";
import { ProblemNote } from "../app/ProblemNote";
import { bytes } from "../app/format";
import type { ViewProps } from "../app/view";
import { upload } from "./calls";
import { type Chosen, type Taking, importedInWords, uploadProblem } from "./clips";

interface Props {
  readonly api: Api;
  readonly project: string;
  readonly notify: ViewProps["notify"];
  readonly onCame: () => Promise<void>;
}

type Work =
  | { readonly state: "idle" }
  | { readonly state: "under way"; readonly words: string }
  | { readonly state: "done"; readonly words: string; readonly notes: readonly string[] }
  | { readonly state: "failed"; readonly problem: Described };

const TAKING: Record<Taking, string> = {
  all: "all frames",
  every: "each so many frames",
  fps: "at most so many a second",
};

const NOTHING_TYPED: Chosen = { name: "", source: "", taking: "every", number: "5" };

export function UploadCard({ api, project, notify, onCame }: Props) {
  const [video, setVideo] = useState<File | null>(null);
  const [chosen, setChosen] = useState<Chosen>(NOTHING_TYPED);
  const [work, setWork] = useState<Work>({ state: "idle" });
  const busy = work.state === "under way";
  const choose = (changes: Partial<Chosen>) => setChosen({ ...chosen, ...changes });

  const send = async (event: FormEvent) => {
    event.preventDefault();
    if (!video || busy) return;
    setWork({ state: "under way", words: `Sending ${video.name}, ${bytes(video.size)}…` });
    try {
      const name = chosen.name.trim() || video.name;
      const imported = await upload(api, project, video, { ...chosen, name });
      const words = importedInWords(imported);
      setWork({ state: "done", words, notes: imported.notes });
      notify({ tone: "info", title: "The video was read", detail: words, hint: "" }); // wherever one looks by now
    } catch (error) {
      const problem = uploadProblem(error);
      setWork({ state: "failed", problem });
      notify({ tone: "error", ...problem });
    }
    await onCame();
  };

  return (
    <Card title="Upload a video" testid="upload-clip">
      <form className="form" onSubmit={(event) => void send(event)}>
        <div className="pair">
          <label className="field">
            <span>Video file</span>
            <input
              data-testid="clip-file"
              type="file"
              accept="video/*,.mkv,.ts,.flv,.asf"
              required
              onChange={(event) => setVideo(event.target.files?.[0] ?? null)}
            />
          </label>
          <label className="field">
            <span>Name; empty: the file’s</span>
            <input
              data-testid="clip-name"
              maxLength={200}
              value={chosen.name}
              onChange={(event) => choose({ name: event.target.value })}
            />
          </label>
        </div>
        <div className="pair">
          <Sampling chosen={chosen} onChoose={choose} />
          <label className="field">
            <span>Source: where it comes from</span>
            <input
              data-testid="clip-source"
              maxLength={200}
              placeholder="camera-3"
              value={chosen.source}
              onChange={(event) => choose({ source: event.target.value })}
            />
          </label>
        </div>
        <footer className="row">
          <span className="grow" />
          <button className="primary" data-testid="send-clip" disabled={busy || video === null}>
            Upload
          </button>
        </footer>
      </form>
      <WorkState work={work} />
    </Card>
  );
}

interface SamplingProps {
  readonly chosen: Chosen;
  readonly onChoose: (changes: Partial<Chosen>) => void;
}

function Sampling({ chosen: { taking, number }, onChoose }: SamplingProps) {
  return (
    <div className="pair">
      <label className="field">
        <span>Take</span>
        <select
          data-testid="clip-taking"
          value={taking}
          onChange={(event) => onChoose({ taking: event.target.value as Taking })}
        >
          {Object.entries(TAKING).map(([name, words]) => (
            <option key={name} value={name}>
              {words}
            </option>
          ))}
        </select>
      </label>
      {taking !== "all" && (
        <label className="field">
          <span>How many</span>
          <input
            data-testid="clip-number"
            type="number"
            required
            step={taking === "every" ? 1 : "any"}
            min={taking === "every" ? 1 : 0}
            value={number}
            onChange={(event) => onChoose({ number: event.target.value })}
          />
        </label>
      )}
    </div>
  );
}

function WorkState({ work }: { readonly work: Work }) {
  switch (work.state) {
    case "idle":
      return null;
    case "under way":
      return (
        <p className="callout" role="status" data-testid="clip-sending">
          {work.words} <span className="muted">The frames that are read already show below.</span>
        </p>
      );
    case "failed":
      return <ProblemNote problem={work.problem} testid="clip-refused" />;
    case "done":
      return (
        <div className="callout" role="status" data-testid="clip-came">
          <p>{work.words}</p>
          {work.notes.map((note) => (
            <p key={note} className="muted">
              {note}
            </p>
          ))}
        </div>
      );
  }
}
