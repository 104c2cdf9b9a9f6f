import { useState } from "react";
import type { Api } from "../api/client";
import type { Person, Rates } from "../api/types";
import { Confirm } from "../app/Asking";
import { Dialog } from "../app/Dialog";
import { Fetched } from "../app/Fetched";
import { useAsked } from "../app/asked";
import { people } from "../reviewers/calls";
import { rates } from "./calls";
import { ratesFrom } from "./work";

interface Props {
  readonly api: Api;
  readonly project: string;
  readonly onChange: (rates: Rates) => Promise<void>;
  readonly onClose: () => void;
}

const NEVER_MS = 86_400_000; // what somebody types is not to be replaced

/** What an hour of work costs, of everybody and of single people. */
export function RatesDialog({ api, project, onChange, onClose }: Props) {
  const asked = useAsked(
    async () => {
      const [present, everybody] = await Promise.all([rates(api, project), people(api)]);
      return { present, everybody };
    },
    project,
    NEVER_MS,
  );
  const [typed, setTyped] = useState<Typed | null>(null);
  const known = asked.value && (typed ?? textsOf(asked.value.present));
  const made = known && ratesFrom(known.currency, known.perHour, known.people);
  const submit = () => made && "rates" in made && onChange(made.rates);
  return (
    <Dialog title="What an hour costs" onClose={onClose} onSubmit={submit} testid="rates-dialog">
      <p className="muted">In place of the rates before; work of the past is counted anew.</p>
      <Fetched asked={asked} what="the rates">
        {({ everybody }) => known && <Fields typed={known} everybody={everybody} onType={setTyped} />}
      </Fetched>
      {made && "wrong" in made && (
        <p className="callout error" role="alert">
          {made.wrong}
        </p>
      )}
      <Confirm name="Change" disabled={!made || "wrong" in made} onClose={onClose} />
    </Dialog>
  );
}

interface Typed {
  readonly currency: string;
  readonly perHour: string;
  /** By token id. */
  readonly people: Readonly<Record<string, string>>;
}

const textsOf = ({ currency, per_hour, people: own }: Rates): Typed => ({
  currency,
  perHour: per_hour == null ? "" : String(per_hour),
  people: Object.fromEntries(Object.entries(own ?? {}).map(([id, rate]) => [id, String(rate)])),
});

interface FieldsProps {
  readonly typed: Typed;
  readonly everybody: readonly Person[];
  readonly onType: (typed: Typed) => void;
}

function Fields({ typed, everybody, onType }: FieldsProps) {
  return (
    <>
      <div className="pair">
        <label className="field">
          <span>Currency (ISO 4217)</span>
          <input
            data-first
            data-testid="currency"
            maxLength={3}
            value={typed.currency}
            onChange={(event) => onType({ ...typed, currency: event.target.value })}
          />
        </label>
        <label className="field">
          <span>An hour of everybody</span>
          <input
            data-testid="per-hour"
            inputMode="decimal"
            placeholder="not known"
            value={typed.perHour}
            onChange={(event) => onType({ ...typed, perHour: event.target.value })}
          />
        </label>
      </div>
      <fieldset className="people-rates">
        <legend className="muted small">Who costs something else</legend>
        {everybody.map((person) => (
          <label key={person.token_id} className="row">
            <span className="grow ellipsis">{person.name}</span>
            <input
              inputMode="decimal"
              placeholder="as everybody"
              value={typed.people[person.token_id] ?? ""}
              onChange={(event) =>
                onType({ ...typed, people: { ...typed.people, [person.token_id]: event.target.value } })
              }
            />
          </label>
        ))}
      </fieldset>
    </>
  );
}
