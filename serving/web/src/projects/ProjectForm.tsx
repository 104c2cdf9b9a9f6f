import { useState } from "react";
import type { Api } from "../api/client";
import type { Project } from "../api/types";
import { Dialog } from "../app/Dialog";
import { Refused } from "../recipe/Refused";
import { type Refusal, refusalOf } from "../recipe/document";
import { createProject } from "./calls";
import { type TypedLabel, bodyOf, labelsFrom, labelsInWords, labelsProblem, nameProblem } from "./newProject";

interface Props {
  readonly api: Api;
  /** Ids of the projects that there are. */
  readonly taken: readonly string[];
  readonly onMade: (project: Project) => void;
  readonly onClose: () => void;
}

export function ProjectForm({ api, taken, onMade, onClose }: Props) {
  const [name, setName] = useState("");
  const [text, setText] = useState("");
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  const [busy, setBusy] = useState(false);
  const labels = labelsFrom(text);
  const wrong = { name: nameProblem(name, taken), labels: labelsProblem(labels) };
  const ready = name !== "" && labels.length > 0 && wrong.name === null && wrong.labels === null && !busy;
  const make = async () => {
    if (!ready) return;
    setBusy(true);
    setRefusal(null);
    try {
      onMade(await createProject(api, bodyOf(name, labels)));
    } catch (error) {
      setRefusal(refusalOf(error));
      setBusy(false);
    }
  };
  return (
    <Dialog title="New project" onClose={onClose} onSubmit={() => void make()} testid="new-project-dialog">
      <label className="field">
        <span>Name</span>
        <input
          data-testid="project-name"
          data-first
          spellCheck={false}
          autoComplete="off"
          placeholder="street"
          aria-invalid={wrong.name !== null}
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <small className={wrong.name ? "wrong" : "muted"} data-testid="name-help">
          {wrong.name ?? "Lower-case letters, digits and dashes. It stays as it is: addresses and commands have it."}
        </small>
      </label>
      <label className="field">
        <span>Labels, one a line</span>
        <textarea
          data-testid="project-labels"
          rows={6}
          spellCheck={false}
          placeholder={"car\nbicycle #ff8800\ntraffic light"}
          aria-invalid={wrong.labels !== null}
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        <small className={wrong.labels ? "wrong" : "muted"} data-testid="labels-help">
          {wrong.labels ?? "A colour after it is optional. Attributes, polygons and rules come later, at Recipe."}
        </small>
      </label>
      {labels.length > 0 && <Labels labels={labels} />}
      {refusal && <Refused refusal={refusal} testid="project-refused" />}
      <footer>
        <button type="button" onClick={onClose}>
          Back
        </button>
        <button className="primary" data-testid="create-project" disabled={!ready}>
          Create project
        </button>
      </footer>
    </Dialog>
  );
}

function Labels({ labels }: { readonly labels: readonly TypedLabel[] }) {
  return (
    <p className="typed-labels" data-testid="typed-labels" aria-label={labelsInWords(labels)}>
      {labels.map(({ name, color }, number) => (
        <span key={number} className="badge">
          <span className="label-dot" style={color === null ? {} : { background: color }} />
          {name}
        </span>
      ))}
    </p>
  );
}
