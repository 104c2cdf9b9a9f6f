/** The next version as a document: what it would do, then making it. */
import { useState } from "react";
import type { Api } from "../api/client";
import type { Me, Recipe, RecipeOutcome } from "../api/types";
import { Card } from "../app/Card";
import { NotSaved } from "../app/NotSaved";
import { useUnsaved } from "../app/useUnsaved";
import type { ViewProps } from "../app/view";
import { Refused } from "./Refused";
import { check, save } from "./calls";
import { type Refusal, changeInWords, changes, documentOf, refusalOf, savedInWords } from "./document";

interface Props {
  readonly api: Api;
  readonly me: Me;
  readonly project: string;
  /** The newest. */
  readonly recipe: Recipe;
  readonly notify: ViewProps["notify"];
  readonly onSent: () => Promise<void>;
}

const isText = (value: unknown): value is string => typeof value === "string";

export function DocumentCard({ api, me, project, recipe, notify, onSent }: Props) {
  const [typed, setTyped] = useUnsaved(me, project, "recipe", isText);
  const [checked, setChecked] = useState<{ readonly text: string; readonly outcome: RecipeOutcome } | null>(null);
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  const [busy, setBusy] = useState(false);
  const text = typed ?? documentOf(recipe);
  const outcome = checked?.text === text ? checked.outcome : null;
  const mayBeSaved = outcome !== null && changes(outcome, recipe.version);

  const startAgain = () => {
    setTyped(null);
    setRefusal(null);
  };
  const send = async (work: () => Promise<void>) => {
    setBusy(true);
    setRefusal(null);
    try {
      await work();
    } catch (error) {
      setChecked(null);
      setRefusal(refusalOf(error));
      await onSent(); // another version may be the newest now
    }
    setBusy(false);
  };
  const look = () => send(async () => setChecked({ text, outcome: await check(api, project, text) }));
  const make = () =>
    send(async () => {
      notify({ tone: "info", ...savedInWords(await save(api, project, text)), hint: "" });
      await onSent();
      startAgain();
    });

  return (
    <Card
      title="The next version"
      testid="recipe-document"
      aside={
        <>
          <NotSaved shown={typed !== null} />
          <span className="grow" />
          <button disabled={typed === null || busy} onClick={startAgain}>
            Start again from version {recipe.version}
          </button>
          <button data-testid="check-recipe" disabled={busy} onClick={() => void look()}>
            Check
          </button>
          <button
            className="primary"
            data-testid="save-recipe"
            disabled={!mayBeSaved || busy}
            title={mayBeSaved ? "" : "Check a change first"}
            onClick={() => void make()}
          >
            {mayBeSaved ? `Save as version ${outcome.recipe.version}` : "Save"}
          </button>
        </>
      }
    >
      <p className="muted">
        JSON or YAML. <code>renames</code>: what a label is called now, as <code>{'{"man": "person"}'}</code>.{" "}
        <code>migrate</code>, where labels go: <code>open_tasks</code> “keep” or “move”, <code>ground_truth</code>{" "}
        “drop”.
      </p>
      <textarea
        className="document"
        aria-label="The recipe as a document"
        data-testid="recipe-text"
        spellCheck={false}
        value={text}
        onChange={(event) => setTyped(event.target.value)}
      />
      <div aria-live="polite">
        {refusal && <Refused refusal={refusal} testid="recipe-refused" />}
        {outcome && <WouldDo outcome={outcome} newest={recipe.version} />}
      </div>
    </Card>
  );
}

function WouldDo({ outcome, newest }: { readonly outcome: RecipeOutcome; readonly newest: number }) {
  if (!changes(outcome, newest)) return <p className="callout">It says what version {newest} says.</p>;
  const changed = changeInWords(outcome);
  return (
    <div className="callout" data-testid="recipe-would-do">
      <strong>Would make version {outcome.recipe.version}</strong>
      <p>{changed.join("; ") || "Colours, keys or the order of labels change."}</p>
      <ul className="flaws">
        {outcome.consequences.map((one) => (
          <li key={one}>{one}</li>
        ))}
      </ul>
    </div>
  );
}
