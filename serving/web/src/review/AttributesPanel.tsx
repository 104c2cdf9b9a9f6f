import { type KeyboardEvent, useState } from "react";
import type { Attribute } from "../api/types";
import { type Value, numberOf } from "./attributes";
import type { Edit } from "./editor";
import type { Shape } from "./shapes";

interface Props {
  readonly shape: Shape;
  readonly attributes: readonly Attribute[];
  /** Names of those that have to be said and are not. */
  readonly missing: readonly string[];
  readonly onEdit: (edit: Edit) => void;
  readonly onLeave: () => void;
}

/** What is said of the selected shape. Enter and Escape give the keys back to the image. */
export function AttributesPanel({ shape, attributes, missing, onEdit, onLeave }: Props) {
  const say = (attribute: string) => (value: Value | null) =>
    onEdit({ type: "say", id: shape.id, attribute, value, tag: `say ${attribute}` });
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Escape" && !(event.key === "Enter" && !(event.target instanceof HTMLButtonElement))) return;
    event.preventDefault();
    event.stopPropagation();
    onLeave();
  };
  return (
    <div className="attributes" data-testid="attributes" onKeyDown={onKeyDown}>
      {attributes.map((attribute) => (
        <Field
          key={`${shape.id} ${attribute.name}`}
          attribute={attribute}
          value={shape.attributes[attribute.name]}
          missing={missing.includes(attribute.name)}
          onSay={say(attribute.name)}
        />
      ))}
    </div>
  );
}

interface FieldProps {
  readonly attribute: Attribute;
  readonly value: Value | undefined;
  readonly missing: boolean;
  readonly onSay: (value: Value | null) => void;
}

function Field({ attribute, value, missing, onSay }: FieldProps) {
  const name = (
    <span>
      {attribute.name}
      {attribute.required && (
        <span className={missing ? "required missing" : "required"} title="Required">
          {missing ? " required" : " *"}
        </span>
      )}
    </span>
  );
  if (attribute.type === "multiselect") {
    const chosen = typeof value === "object" ? value : [];
    const options = attribute.options ?? [];
    const turn = (option: string) => {
      const next = options.filter((other) => chosen.includes(other) !== (other === option));
      onSay(next.length > 0 ? next : null);
    };
    return (
      <fieldset className="field" data-testid={`attribute-${attribute.name}`}>
        <legend>{name}</legend>
        <div className="choices">
          {options.map((option) => (
            <label key={option} className="check">
              <input type="checkbox" checked={chosen.includes(option)} onChange={() => turn(option)} />
              {option}
            </label>
          ))}
        </div>
      </fieldset>
    );
  }
  return (
    <label className="field">
      {name}
      <Control attribute={attribute} value={value} missing={missing} onSay={onSay} />
    </label>
  );
}

function Control({ attribute, value, missing, onSay }: FieldProps) {
  const shared = {
    "data-testid": `attribute-${attribute.name}`,
    "aria-required": attribute.required ?? false,
    "aria-invalid": missing,
  };
  switch (attribute.type) {
    case "select":
      return (
        <select {...shared} value={String(value ?? "")} onChange={(event) => onSay(event.target.value || null)}>
          <option value="">–</option>
          {(attribute.options ?? []).map((option) => (
            <option key={option}>{option}</option>
          ))}
        </select>
      );
    case "boolean":
      return (
        <select
          {...shared}
          value={String(value ?? "")}
          onChange={(event) => onSay(event.target.value === "" ? null : event.target.value === "true")}
        >
          <option value="">–</option>
          <option value="true">yes</option>
          <option value="false">no</option>
        </select>
      );
    case "number":
      return (
        <NumberInput
          shared={shared}
          attribute={attribute}
          value={typeof value === "number" ? value : null}
          onSay={onSay}
        />
      );
    default:
      return (
        <input
          {...shared}
          maxLength={2000}
          value={typeof value === "string" ? value : ""}
          onChange={(event) => onSay(event.target.value === "" ? null : event.target.value)}
        />
      );
  }
}

interface NumberProps {
  readonly shared: Record<string, unknown>;
  readonly attribute: Attribute;
  readonly value: number | null;
  readonly onSay: (value: number | null) => void;
}

/** Keeps what was typed ("1." on the way to "1.5") while it says the value; undo brings another value back. */
function NumberInput({ shared, attribute, value, onSay }: NumberProps) {
  const [typed, setTyped] = useState(String(value ?? ""));
  const shown = numberOf(typed) === value ? typed : String(value ?? "");
  return (
    <input
      {...shared}
      type="number"
      step="any"
      {...(attribute.min == null ? {} : { min: attribute.min })}
      {...(attribute.max == null ? {} : { max: attribute.max })}
      value={shown}
      onChange={(event) => {
        setTyped(event.target.value);
        onSay(numberOf(event.target.value));
      }}
    />
  );
}
