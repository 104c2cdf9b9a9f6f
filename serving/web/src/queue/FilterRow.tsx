import type { Person } from "../api/types";
import { ALL, type Filters, STAGES, STATES, isFinished, needsOf } from "./queue";

interface Props {
  readonly filters: Filters;
  readonly people: readonly Person[];
  readonly onChange: (filters: Filters) => void;
}

type Choices = readonly (readonly [value: string, words: string])[];

const LATE: Choices = [
  ["", "due whenever"],
  ["overdue", "overdue"],
  ["escalated", "escalated"],
];

/** What of the queue is shown. */
export function FilterRow({ filters, people, onChange }: Props) {
  const { state, holder, need } = filters;
  const change = (name: keyof Filters) => (value: string) => onChange({ ...filters, [name]: value } as Filters);
  const needs = needsOf(people).map((one) => [one, one.replace(":", " ")] as const);
  return (
    <div className="row queue-filters" data-testid="queue-filters">
      <Choose name="State" testid="queue-state" value={state} choices={Object.entries(STATES)} onChange={change("state")} />
      <Choose
        name="Stage"
        testid="queue-stage"
        value={filters.stage}
        choices={[["", "all stages"], ...Object.entries(STAGES)]}
        onChange={change("stage")}
      />
      <Choose name="Due" testid="queue-late" value={filters.late} choices={LATE} onChange={change("late")} />
      <Choose
        name="Holder"
        testid="queue-holder"
        value={state === "open" ? "" : holder}
        disabled={state === "open"}
        choices={[["", isFinished(state) ? "by whomever" : "with whomever"], ...people.map(idAndName)]}
        onChange={change("holder")}
      />
      <Choose
        name="Who may do it"
        testid="queue-need"
        value={isFinished(state) ? "" : need}
        disabled={isFinished(state)}
        choices={[["", "for whomever"], ["nobody", "nobody may do it"], ...needs]}
        onChange={change("need")}
      />
      <span className="grow" />
      <button disabled={Object.values(filters).every((value) => value === "")} onClick={() => onChange(ALL)}>
        Show all
      </button>
    </div>
  );
}

const idAndName = ({ token_id, name }: Person) => [token_id, name] as const;

interface ChooseProps {
  readonly name: string;
  readonly testid: string;
  readonly value: string;
  readonly choices: Choices;
  readonly disabled?: boolean;
  readonly onChange: (value: string) => void;
}

function Choose({ name, testid, value, choices, disabled = false, onChange }: ChooseProps) {
  return (
    <select
      aria-label={name}
      data-testid={testid}
      value={value}
      disabled={disabled}
      onChange={(event) => onChange(event.target.value)}
    >
      {choices.map(([each, words]) => (
        <option key={each} value={each}>
          {words}
        </option>
      ))}
    </select>
  );
}
