import { spanInWords } from "./span";

const DAYS = [1, 7, 30, 90, 365];

interface Props {
  /** "Work of" */
  readonly name: string;
  readonly days: number;
  readonly onDays: (days: number) => void;
}

export function SpanChooser({ name, days, onDays }: Props) {
  return (
    <div className="chooser">
      <label>
        <span className="muted">{name}</span>
        <select data-testid="span" value={days} onChange={(event) => onDays(Number(event.target.value))}>
          {DAYS.map((one) => (
            <option key={one} value={one}>
              {spanInWords(one)}
            </option>
          ))}
        </select>
      </label>
    </div>
  );
}
