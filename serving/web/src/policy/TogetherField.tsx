import type { Plain } from "./policy";
import { SCHEDULE } from "./schedule";
import { conditionsIn, groupsOf, toggled, whenOf } from "./together";
import { TRIGGER_SECTIONS } from "./triggerSettings";

interface Props {
  readonly rules: Plain;
  readonly onChange: (when: ReturnType<typeof whenOf>) => void;
}

/** Which of the triggers that are set have to hold together. */
export function TogetherField({ rules, onChange }: Props) {
  const set = conditionsIn(rules);
  const groups = groupsOf(rules.when);
  if (set.length < 2) return null;
  const free = set.filter((name) => !groups.some((group) => group.length === 1 && group[0] === name));
  return (
    <section className="together" aria-label="Together">
      <h3>Together</h3>
      <label className="together-mode">
        A cycle begins when
        <select
          data-testid="together"
          value={rules.when ? "groups" : "any"}
          onChange={({ target: { value } }) => onChange(value === "any" ? null : whenOf([set]))}
        >
          <option value="any">any of these holds</option>
          <option value="groups">all of a group hold</option>
        </select>
      </label>
      {groups.map((group, number) => (
        <fieldset key={number} data-testid={`group-${number}`}>
          <legend>{number === 0 ? "When all of these hold" : "or all of these"}</legend>
          {set.map((name) => (
            <label key={name}>
              <input
                type="checkbox"
                checked={group.includes(name)}
                onChange={() => onChange(whenOf(toggled(groups, number, name)))}
              />
              {settingName(name)}
            </label>
          ))}
        </fieldset>
      ))}
      {groups.length > 0 && free.length > 0 && (
        <label className="together-mode">
          Or when
          <select
            data-testid="another-group"
            value=""
            onChange={({ target: { value } }) => onChange(whenOf([...groups, [value]]))}
          >
            <option value="">another group …</option>
            {free.map((name) => (
              <option key={name} value={name}>
                {settingName(name)}
              </option>
            ))}
          </select>
        </label>
      )}
      <p className="muted small">
        Each trigger that is set counts somewhere: one that is in no group asks alone. A whole condition in text is set with{" "}
        <code>askance cycle triggers --file</code>.
      </p>
    </section>
  );
}

const NAMES = new Map(TRIGGER_SECTIONS.flatMap(({ settings }) => settings.map(({ place, name }) => [String(place), name])));

const settingName = (name: string) => NAMES.get(name) ?? (name === "schedule" ? SCHEDULE : name);
