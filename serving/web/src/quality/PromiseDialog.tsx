/** Makes a promise or changes one, and tells before what it would come to by the answers of now. */
import { type ReactNode, useEffect, useState } from "react";
import type { Api } from "../api/client";
import { ProblemError, describe } from "../api/problem";
import type { GuaranteePreview, Label, Promised } from "../api/types";
import { Confirm } from "../app/Asking";
import { Dialog } from "../app/Dialog";
import { counted } from "../app/figures";
import { count, percent } from "../app/format";
import { GroupTable } from "./GroupTable";
import { changePromises, previewGuarantee } from "./calls";
import {
  type Asked,
  BY_NAMES,
  type Field,
  type Flaws,
  LOSS_NAMES,
  STATEMENT_NAMES,
  type Typed,
  askedOf,
  flawsOf,
  typedOf,
} from "./promising";
import { promiseInWords } from "./quality";

const PAUSE_MS = 400; // of typing, before it is asked what this would come to

interface Props {
  readonly api: Api;
  readonly project: string;
  readonly labels: readonly Label[];
  readonly promises: readonly Promised[];
  /** Of the promise that is changed; null: a new one. */
  readonly place: number | null;
  readonly auditRate: number;
  readonly onDone: () => void;
  readonly onClose: () => void;
}

export function PromiseDialog({ api, project, labels, promises, place, auditRate, onDone, onClose }: Props) {
  const [typed, setTyped] = useState<Typed>(() =>
    typedOf(place === null ? null : (promises[place] ?? null), auditRate),
  );
  const [refused, setRefused] = useState<Flaws>({});
  const [saving, setSaving] = useState(false);
  const made = askedOf(typed, promises, place, auditRate);
  const preview = usePreview(api, project, "asked" in made ? made.asked : null);
  const flaws = "flaws" in made ? made.flaws : { ...preview.flaws, ...refused };
  const type = (changes: Partial<Typed>) => {
    setTyped({ ...typed, ...changes });
    setRefused({});
  };
  const save = async () => {
    if (!("asked" in made) || saving) return;
    setSaving(true);
    try {
      await changePromises(api, project, promises, made.asked);
      onDone();
    } catch (error) {
      setRefused(refusedWith(error));
      setSaving(false);
    }
  };
  const own = (place ?? promises.length) + 1;
  return (
    <Dialog
      title={place === null ? "Make a promise" : `Change promise ${place + 1}`}
      onClose={onClose}
      onSubmit={() => void save()}
      testid="promise-dialog"
      wide
    >
      <Fields typed={typed} labels={labels} flaws={flaws} onType={type} />
      {"asked" in made && !isFlawed(flaws) && (
        <p data-testid="promise-words">{promiseInWords(made.asked.guarantee.promises[own - 1] as Promised)}.</p>
      )}
      <Flaw name="promise" flaws={flaws} />
      <Outcome preview={preview} own={own} />
      <Confirm name={place === null ? "Promise it" : "Change"} disabled={isFlawed(flaws) || saving} onClose={onClose} />
    </Dialog>
  );
}

// --- fields ---------------------------------------------------------------------------------------------

interface FieldsProps {
  readonly typed: Typed;
  readonly labels: readonly Label[];
  readonly flaws: Flaws;
  readonly onType: (changes: Partial<Typed>) => void;
}

function Fields({ typed, labels, flaws, onType }: FieldsProps) {
  return (
    <>
      <div className="pair">
        <NumberField
          name="alpha"
          title="May fail and pass, % of the predictions (alpha)"
          first
          value={typed.alpha}
          flaws={flaws}
          onType={(alpha) => onType({ alpha })}
        />
        <NumberField
          name="audit_rate"
          title="Audits, % of all predictions, drawn at random"
          value={typed.audit}
          flaws={flaws}
          onType={(audit) => onType({ audit })}
        />
      </div>
      <div className="pair">
        <Choice
          title="Holds"
          testid="statement"
          names={STATEMENT_NAMES}
          value={typed.statement}
          onType={(statement) => onType({ statement })}
        />
        {typed.statement === "high-probability" && (
          <NumberField
            name="delta"
            title="May be wrong, with a probability of % (delta)"
            value={typed.delta}
            flaws={flaws}
            onType={(delta) => onType({ delta })}
          />
        )}
      </div>
      <div className="pair">
        <Choice title="Counts" testid="loss" names={LOSS_NAMES} value={typed.loss} onType={(loss) => onType({ loss })} />
        <Choice title="Of" testid="by" names={BY_NAMES} value={typed.by} onType={(by) => onType({ by })} />
      </div>
      {typed.loss === "cost" && (
        <div className="pair">
          <NumberField
            name="missed_weight"
            title="Weight of a missed object, 0 to 1"
            value={typed.missedWeight}
            flaws={flaws}
            onType={(missedWeight) => onType({ missedWeight })}
          />
          <NumberField
            name="false_alarm_weight"
            title="Weight of a false alarm, 0 to 1"
            value={typed.falseAlarmWeight}
            flaws={flaws}
            onType={(falseAlarmWeight) => onType({ falseAlarmWeight })}
          />
        </div>
      )}
      <fieldset className="classes" data-testid="classes">
        <legend className="muted small">Labels that count; none ticked: all</legend>
        {labels.map(({ name }) => (
          <label key={name} className="check">
            <input
              type="checkbox"
              checked={typed.classes.includes(name)}
              onChange={({ target }) =>
                onType({
                  classes: target.checked ? [...typed.classes, name] : typed.classes.filter((one) => one !== name),
                })
              }
            />
            <span>{name}</span>
          </label>
        ))}
      </fieldset>
      <Flaw name="classes" flaws={flaws} />
    </>
  );
}

interface NumberFieldProps {
  readonly name: Field;
  readonly title: string;
  readonly value: string;
  readonly flaws: Flaws;
  readonly first?: boolean;
  readonly onType: (value: string) => void;
}

function NumberField({ name, title, value, flaws, first, onType }: NumberFieldProps) {
  return (
    <div>
      <label className="field">
        <span>{title}</span>
        <input
          data-first={first}
          data-testid={name}
          inputMode="decimal"
          maxLength={20}
          value={value}
          aria-invalid={flaws[name] !== undefined}
          aria-describedby={flaws[name] === undefined ? undefined : `flaw-${name}`}
          onChange={({ target }) => onType(target.value)}
        />
      </label>
      <Flaw name={name} flaws={flaws} />
    </div>
  );
}

interface ChoiceProps<T extends string> {
  readonly title: string;
  readonly testid: string;
  readonly names: Record<T, string>;
  readonly value: T;
  readonly onType: (value: T) => void;
}

function Choice<T extends string>({ title, testid, names, value, onType }: ChoiceProps<T>) {
  return (
    <label className="field">
      <span>{title}</span>
      <select data-testid={testid} value={value} onChange={({ target }) => onType(target.value as T)}>
        {Object.entries<string>(names).map(([name, words]) => (
          <option key={name} value={name}>
            {words}
          </option>
        ))}
      </select>
    </label>
  );
}

function Flaw({ name, flaws }: { readonly name: Field; readonly flaws: Flaws }) {
  const said = flaws[name];
  if (said === undefined) return null;
  return (
    <small className="flaw" id={`flaw-${name}`} role="alert" data-testid={`flaw-${name}`}>
      {said}
    </small>
  );
}

// --- what it would come to ------------------------------------------------------------------------------

/** found: by the answers of now, of what was asked last. none: why nothing can be told, though it can be promised. */
interface Previewed {
  readonly found: GuaranteePreview | null;
  readonly flaws: Flaws;
  readonly none: string;
  readonly asking: boolean;
}

const NOTHING: Previewed = { found: null, flaws: {}, none: "", asking: false };

function usePreview(api: Api, project: string, asked: Asked | null): Previewed {
  const [known, setKnown] = useState<Previewed>(NOTHING);
  const about = asked === null ? null : JSON.stringify(asked);
  useEffect(() => {
    if (about === null) return undefined;
    let gone = false;
    setKnown((before) => ({ ...before, flaws: {}, asking: true }));
    const timer = window.setTimeout(() => {
      previewGuarantee(api, project, JSON.parse(about) as Asked)
        .then((found): Previewed => ({ ...NOTHING, found }))
        .catch(previewRefused)
        .then((next) => !gone && setKnown(next));
    }, PAUSE_MS);
    return () => {
      gone = true;
      window.clearTimeout(timer);
    };
  }, [api, project, about]);
  return about === null ? NOTHING : known;
}

/** Only what cannot be promised is a flaw; without a model there is nothing to tell yet. */
function previewRefused(error: unknown): Previewed {
  if (error instanceof ProblemError && error.status === 422) return { ...NOTHING, flaws: flawsOf(error.problem) };
  const { detail, hint } = describe(error);
  return { ...NOTHING, none: `What it would come to cannot be told: ${detail} ${hint}` };
}

const refusedWith = (error: unknown): Flaws => {
  if (error instanceof ProblemError) return flawsOf(error.problem);
  const { detail, hint } = describe(error);
  return { promise: `${detail} ${hint}` };
};

const isFlawed = (flaws: Flaws): boolean => Object.keys(flaws).length > 0;

function Outcome({ preview, own }: { readonly preview: Previewed; readonly own: number }) {
  const { found, none, asking } = preview;
  const groups = found?.groups.filter(({ promise }) => promise === own) ?? [];
  return (
    <section className="preview" aria-label="What it would come to" aria-busy={asking} data-testid="promise-preview">
      {none && <p className="muted">{none}</p>}
      {found === null && asking && <p className="muted">Looking at the answers of now…</p>}
      {found && (
        <>
          <p>
            By the answers of now, {counted(found.answered, "answer")} to {counted(found.size, "prediction")}:{" "}
            <strong>{percent(found.automation)}</strong> would pass without a person, people would get{" "}
            {percent(found.review_share)}, with audits. <Fewest needed={found.fewest[own - 1]} />
          </p>
          {found.anew && (
            <Note>This audit rate begins a new window: no answer of before counts, so people look at everything.</Note>
          )}
          {found.learned_from && (
            <Note>
              The risk learned from these answers, so this is too good. It is learned again without them first; until
              then people look at everything.
            </Note>
          )}
          {groups.length > 0 && <GroupTable thresholds={{ groups, promises: found.promises }} />}
          {found.promises.length > 1 && (
            <p className="muted small">
              All {count(found.promises.length)} promises share what may be wrong, so that the others change too.
            </p>
          )}
        </>
      )}
    </section>
  );
}

function Fewest({ needed }: { readonly needed: number | undefined }) {
  if (needed === undefined) return null;
  return <span className="muted">It takes {count(needed)} answers without a failure until anything may pass.</span>;
}

const Note = ({ children }: { readonly children: ReactNode }) => <p className="callout warn">{children}</p>;
