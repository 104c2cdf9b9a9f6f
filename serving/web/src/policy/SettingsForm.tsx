import { type ReactNode, useId, useState } from "react";
import type { Plain } from "./policy";
import {
  type NumberSetting,
  type Section,
  type Setting,
  problemWith,
  rangeInWords,
  settingsFor,
  shown,
  typed,
  unitWords,
  valueAt,
} from "./settings";

interface Props {
  readonly sections: readonly Section[];
  readonly document: Plain;
  readonly onChange: (place: string, value: unknown) => void;
  /** Sections of another kind. */
  readonly children?: ReactNode;
}

/** The settings of a document in sections, each with its range and what it means. */
export function SettingsForm({ sections, document, onChange, children }: Props) {
  return (
    <div className="settings" data-testid="settings">
      {sections.map(({ title, settings }) => (
        <section key={title} aria-label={title}>
          <h3>{title}</h3>
          {settingsFor(settings, document).map((setting) => (
            <Field
              key={setting.place}
              setting={setting}
              value={valueAt(document, setting.place)}
              onChange={(value) => onChange(setting.place, value)}
            />
          ))}
        </section>
      ))}
      {children}
    </div>
  );
}

interface FieldProps {
  readonly setting: Setting;
  readonly value: unknown;
  readonly onChange: (value: unknown) => void;
}

function Field({ setting, value, onChange }: FieldProps) {
  const id = useId();
  const about = useId();
  const problem = problemWith(setting, value);
  const control = { id, "aria-describedby": about, "data-testid": `setting-${setting.place}` };
  return (
    <div className="setting" title={setting.place}>
      <label htmlFor={id}>{setting.name}</label>
      <Control setting={setting} value={value} control={control} wrong={problem !== null} onChange={onChange} />
      <p id={about} className="muted small">
        {setting.help}{" "}
        {isNumber(setting) && problem === null && <span className="range">{rangeInWords(setting)}.</span>}
        {problem && <span className="wrong">{problem}</span>}
      </p>
    </div>
  );
}

interface ControlProps extends FieldProps {
  readonly control: { readonly id: string; readonly "data-testid": string };
  readonly wrong: boolean;
}

function Control({ setting, value, control, wrong, onChange }: ControlProps): ReactNode {
  if (isNumber(setting)) {
    return <NumberControl {...{ setting, value, control, wrong, onChange }} />;
  }
  if (setting.kind === "switch") {
    return (
      <span className="typed">
        <input
          {...control}
          type="checkbox"
          role="switch"
          checked={value === true}
          onChange={(event) => onChange(event.target.checked)}
        />
      </span>
    );
  }
  return (
    <select {...control} aria-invalid={wrong} value={String(value)} onChange={(event) => onChange(event.target.value)}>
      {Object.entries(setting.options).map(([name, words]) => (
        <option key={name} value={name}>
          {words}
        </option>
      ))}
    </select>
  );
}

interface NumberProps extends ControlProps {
  readonly setting: NumberSetting;
}

/** What is half typed is no value yet: leaving the field shows again what the document has. */
function NumberControl({ setting, value, control, wrong, onChange }: NumberProps) {
  const [half, setHalf] = useState<string | null>(null);
  return (
    <span className="typed">
      <input
        {...control}
        inputMode="decimal"
        autoComplete="off"
        aria-invalid={wrong || (half !== null && typed(setting, half) === undefined)}
        placeholder={setting.empty}
        value={half ?? shown(setting, value)}
        onBlur={() => setHalf(null)}
        onChange={({ target: { value: text } }) => {
          const next = typed(setting, text);
          if (next !== undefined) onChange(next);
          setHalf(next === undefined || shown(setting, next) !== text ? text : null);
        }}
      />
      <span className="muted">{unitWords(setting)}</span>
    </span>
  );
}

const isNumber = (setting: Setting): setting is NumberSetting => "min" in setting;
