import { type DragEvent, type FormEvent, useState } from "react";
import { type Chosen, NONE, type Picture, type Treatment, chosenInWords, chosenWith, leftOutInWords } from "./adding";
import { DropZone } from "./DropZone";
import { droppedFiles } from "./dropped";

export interface Wanted {
  readonly pictures: readonly Picture[];
  readonly source: string;
  readonly treatment: Treatment;
}

interface Props {
  readonly hasModel: boolean;
  readonly onAdd: (wanted: Wanted) => void;
}

const TREATMENTS: Record<Treatment, { readonly name: string; readonly words: string }> = {
  predict: {
    name: "Predict and route",
    words: "The model looks at each, and the policy sends the risky ones and audits to people.",
  },
  keep: { name: "Only keep", words: "Nothing looks at them yet: ask people or the model later." },
};

/** Which files, where they come from, and what happens to them. */
export function ChooseForm({ hasModel, onAdd }: Props) {
  const [chosen, setChosen] = useState<Chosen>(NONE);
  const [source, setSource] = useState("");
  const [treatment, setTreatment] = useState<Treatment>(hasModel ? "predict" : "keep");
  const take = (files: readonly Picture[]) => setChosen((before) => chosenWith(before, files));
  const drop = (event: DragEvent) => void droppedFiles(event.dataTransfer).then(take);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (chosen.pictures.length > 0) onAdd({ pictures: chosen.pictures, source: source.trim(), treatment });
  };
  const leftOut = leftOutInWords(chosen);
  const some = chosen.pictures.length > 0;
  return (
    <form className="form" onSubmit={submit}>
      <DropZone onFiles={take} onDrop={drop} />
      {leftOut && (
        <p className="callout warn" role="status" data-testid="left-out">
          {leftOut}
        </p>
      )}
      {hasModel && (
        <fieldset className="treatments">
          <legend className="muted small">What happens to them</legend>
          {Object.entries(TREATMENTS).map(([name, { name: title, words }]) => (
            <label key={name} className="treatment">
              <input
                type="radio"
                name="treatment"
                data-testid={`treatment-${name}`}
                checked={treatment === name}
                onChange={() => setTreatment(name as Treatment)}
              />
              <span>
                <strong>{title}</strong>
                <span className="muted small">{words}</span>
              </span>
            </label>
          ))}
        </fieldset>
      )}
      <label className="field narrow">
        <span>Source: where they come from (optional)</span>
        <input
          data-testid="add-source"
          maxLength={200}
          placeholder="camera-3"
          value={source}
          onChange={(event) => setSource(event.target.value)}
        />
      </label>
      <footer className="row">
        <span className="muted" data-testid="chosen">
          {some ? chosenInWords(chosen) : "Nothing chosen yet"}
        </span>
        {some && (
          <button type="button" className="link" onClick={() => setChosen(NONE)}>
            Clear
          </button>
        )}
        <span className="grow" />
        <button className="primary" data-testid="send-images" disabled={!some}>
          Add images
        </button>
      </footer>
    </form>
  );
}
