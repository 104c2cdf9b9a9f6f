import { count } from "../app/format";
import { COLOURINGS, type ColourBy, type Legend as Entries, WORDS } from "./colouring";

interface Props {
  readonly by: ColourBy;
  readonly onBy: (by: ColourBy) => void;
  readonly legend: Entries;
  readonly note: string;
  readonly hidden: ReadonlySet<number>;
  readonly onToggle: (code: number) => void;
}

/** What the colours mean; a group that is pressed is hidden, and comes back when it is pressed again. */
export function Legend({ by, onBy, legend, note, hidden, onToggle }: Props) {
  return (
    <section className="panel" aria-label="Colours" data-testid="map-legend">
      <label className="field">
        <span>Colour by</span>
        <select data-testid="map-colour" value={by} onChange={(event) => onBy(event.target.value as ColourBy)}>
          {COLOURINGS.map((one) => (
            <option key={one} value={one}>
              {WORDS[one]}
            </option>
          ))}
        </select>
      </label>
      {legend.kind === "ramp" ? (
        <div className="ramp">
          <div style={{ background: `linear-gradient(to right, ${legend.colours.join(", ")})` }} />
          <div className="row small muted">
            <span className="grow">{legend.low}</span>
            <span>{legend.high}</span>
          </div>
        </div>
      ) : (
        <ul className="groups">
          {legend.groups.map((group) => (
            <li key={group.code}>
              <button
                className="group"
                aria-pressed={!hidden.has(group.code)}
                title={hidden.has(group.code) ? "Show these" : "Hide these"}
                onClick={() => onToggle(group.code)}
              >
                <span className="dot" style={{ background: group.colour }} />
                <span className="text">{group.name}</span>
                <span className="muted">{count(group.count)}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
      {note && <p className="muted small">{note}</p>}
    </section>
  );
}
