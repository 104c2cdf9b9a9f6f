/** A data set with its ground truth into the project, as a ZIP. */
import { type FormEvent, useState } from "react";
import type { Api } from "../api/client";
import { type Described, describe } from "../api/problem";
import type { Imported } from "../api/types";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { ProblemNote } from "../app/ProblemNote";
import { useAsked } from "../app/asked";
import { bytes, count } from "../app/format";
import type { ViewProps } from "../app/view";
import { formats, importArchive } from "./calls";
import "./datasets.css";
import { AS_IT_IS, type Asked, importedInWords, lossesInWords, remarkInWords } from "./datasets";

const RARELY_MS = 3_600_000;
const SHOWN = 50; // remarks

interface Props extends Pick<ViewProps, "notify"> {
  readonly api: Api;
  readonly project: string;
}

export function ImportCard({ api, project, notify }: Props) {
  const known = useAsked(() => formats(api), "formats", RARELY_MS);
  const [archive, setArchive] = useState<File | null>(null);
  const [asked, setAsked] = useState(AS_IT_IS);
  const [busy, setBusy] = useState(false);
  const [came, setCame] = useState<Imported | null>(null);
  const [problem, setProblem] = useState<Described | null>(null);
  const send = async (event: FormEvent) => {
    event.preventDefault();
    if (archive === null) return;
    setBusy(true);
    setCame(null);
    setProblem(null);
    try {
      const done = await importArchive(api, project, archive, asked);
      setCame(done);
      notify({ tone: "info", title: "Data set imported", detail: importedInWords(done), hint: lossesInWords(done) });
    } catch (error) {
      setProblem(describe(error));
      notify({ tone: "error", ...describe(error) });
    }
    setBusy(false);
  };
  return (
    <Card title="Import a data set" testid="import">
      <p className="muted">
        A ZIP with images and their ground truth. What is there already is not doubled: the same data set again changes
        nothing. For a large one on the machine of the service use <code>askance import</code>.
      </p>
      <Fetched asked={known} what="the formats">
        {({ formats: all }) => (
          <form className="form" onSubmit={(event) => void send(event)}>
            <div className="dataset-row">
              <label className="field">
                <span>ZIP of the data set</span>
                <input
                  type="file"
                  accept=".zip,application/zip"
                  data-testid="import-file"
                  disabled={busy}
                  onChange={(event) => setArchive(event.target.files?.[0] ?? null)}
                />
              </label>
              <Select
                name="Format"
                testid="import-format"
                value={asked.format}
                options={[["", "what it looks like"], ...all.map(({ name, title }) => [name, title] as const)]}
                onChange={(format) => setAsked({ ...asked, format })}
              />
              <Select
                name="Split of its images"
                testid="import-split"
                value={asked.split}
                options={[["", "as it says"], ["train", "train"], ["val", "val"], ["test", "test (golden)"]]}
                onChange={(split) => setAsked({ ...asked, split: split as Asked["split"] })}
              />
            </div>
            <Check
              words="Labels that the project does not have become its labels (a new version of the recipe)"
              checked={asked.addLabels}
              onChange={(addLabels) => setAsked({ ...asked, addLabels })}
              testid="import-labels"
            />
            <Check
              words="Import nothing where anything would be left out or repaired"
              checked={asked.strict}
              onChange={(strict) => setAsked({ ...asked, strict })}
              testid="import-strict"
            />
            <footer className="row">
              <button className="primary" data-testid="import-send" disabled={archive === null || busy}>
                {busy ? "Importing…" : "Import"}
              </button>
              {busy && archive && (
                <span className="muted" role="status">
                  {bytes(archive.size)} are sent and read. Stay on this page of the browser; other tabs here can be
                  looked at.
                </span>
              )}
            </footer>
          </form>
        )}
      </Fetched>
      {problem && <ProblemNote problem={problem} testid="import-refused" />}
      {came && <Came came={came} />}
    </Card>
  );
}

function Came({ came }: { readonly came: Imported }) {
  const losses = lossesInWords(came);
  const remarks = [...(came.skipped ?? []), ...(came.repaired ?? [])];
  const whole = came.skipped_total + came.repaired_total;
  return (
    <div className={losses ? "callout warn" : "callout"} role="status" data-testid="imported">
      <strong>Imported as {came.format}</strong>
      <p>{importedInWords(came)}</p>
      {losses && <p>{losses}</p>}
      {remarks.length > 0 && (
        <details>
          <summary className="small">Which</summary>
          <ul className="lines">
            {remarks.slice(0, SHOWN).map((remark, number) => (
              <li key={number} className="small">
                {remarkInWords(remark)}
              </li>
            ))}
          </ul>
          {whole > SHOWN && <p className="muted small">and {count(whole - SHOWN)} more</p>}
        </details>
      )}
    </div>
  );
}

interface SelectProps {
  readonly name: string;
  readonly testid: string;
  readonly value: string;
  readonly options: readonly (readonly [value: string, words: string])[];
  readonly onChange: (value: string) => void;
}

function Select({ name, testid, value, options, onChange }: SelectProps) {
  return (
    <label className="field">
      <span>{name}</span>
      <select data-testid={testid} value={value} onChange={(event) => onChange(event.target.value)}>
        {options.map(([option, words]) => (
          <option key={option} value={option}>
            {words}
          </option>
        ))}
      </select>
    </label>
  );
}

interface CheckProps {
  readonly words: string;
  readonly checked: boolean;
  readonly testid: string;
  readonly onChange: (checked: boolean) => void;
}

function Check({ words, checked, testid, onChange }: CheckProps) {
  return (
    <label className="check">
      <input type="checkbox" data-testid={testid} checked={checked} onChange={(event) => onChange(event.target.checked)} />
      {words}
    </label>
  );
}
