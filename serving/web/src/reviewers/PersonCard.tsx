import { type FormEvent, useState } from "react";
import type { Person, PersonBody } from "../api/types";
import { Card } from "../app/Card";
import { counted } from "../app/figures";
import { wordsIn } from "./reviewers";

interface Props {
  readonly person: Person;
  /** Whether it was done. */
  readonly onChange: (body: PersonBody) => Promise<boolean>;
}

const limit = (text: string): number | null => (text.trim() === "" ? null : Number(text));
const shown = (value: number | null): string => (value === null ? "" : String(value));

/** What tasks somebody gets: groups, skills, limits. */
export function PersonCard({ person, onChange }: Props) {
  const [groups, setGroups] = useState(person.groups.join(", "));
  const [skills, setSkills] = useState(person.skills.join(", "));
  const [held, setHeld] = useState(shown(person.max_leases));
  const [daily, setDaily] = useState(shown(person.max_tasks_a_day));
  const body = {
    groups: wordsIn(groups),
    skills: wordsIn(skills),
    max_leases: limit(held),
    max_tasks_a_day: limit(daily),
  };
  const { token_id: _id, name: _name, role: _role, project_id: _project, answered: _answered, ...present } = person;
  const changed = Object.entries(body).some(
    ([name, value]) => JSON.stringify(value) !== JSON.stringify(present[name as keyof typeof present]),
  );
  const save = (event: FormEvent) => {
    event.preventDefault();
    void onChange(body);
  };
  return (
    <Card
      title="Tasks"
      testid="person"
      aside={<span className="muted small">{counted(person.answered, "answer")}</span>}
    >
      <form className="fetched" onSubmit={save}>
        <div className="pair">
          <Field name="Groups" hint="leads, night" value={groups} onChange={setGroups} />
          <Field name="Skills" hint="cells" value={skills} onChange={setSkills} />
          <Field name="Tasks held at once" most={1000} value={held} onChange={setHeld} />
          <Field name="Tasks a day (UTC)" most={100_000} value={daily} onChange={setDaily} />
        </div>
        <div className="row">
          <span className="grow muted small">Separate names by commas.</span>
          <button disabled={!changed}>Save</button>
        </div>
      </form>
    </Card>
  );
}

interface FieldProps {
  readonly name: string;
  readonly hint?: string;
  /** Makes it a number. */
  readonly most?: number;
  readonly value: string;
  readonly onChange: (value: string) => void;
}

function Field({ name, hint, most, value, onChange }: FieldProps) {
  return (
    <label className="field">
      <span>{name}</span>
      <input
        {...(most === undefined ? {} : { type: "number", min: 1, max: most })}
        placeholder={most === undefined ? `none, e.g. ${hint}` : "as the project says"}
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
    </label>
  );
}
