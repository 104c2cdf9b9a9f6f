import { type KeyboardEvent, type Ref, useState } from "react";
import type { Label } from "../api/types";
import { type Palette, colorOf } from "./colors";

/** As many columns as the longest name leaves room for. */
function columnsFor(labels: readonly Label[]): string {
  const longest = Math.max(...labels.map((label) => label.name.length), 1);
  return `repeat(auto-fill, minmax(min(100%, ${Math.max(longest * 8 + 62, 92)}px), 1fr))`;
}

const FILTER_FROM = 10; // labels from which on a filter helps

interface Props {
  readonly labels: readonly Label[];
  readonly palette: Palette;
  /** The label that a new shape gets. */
  readonly current: string;
  /** The label of the selected shape, if one is selected. */
  readonly selected: string | null;
  /** Whether picking this label relabels the selected shape, rather than draw another. */
  readonly relabels: (label: Label) => boolean;
  readonly onPick: (name: string) => void;
  readonly filter: Ref<HTMLInputElement>;
  readonly onLeave: () => void;
}

export function LabelPalette({ labels, palette, current, selected, relabels, onPick, filter, onLeave }: Props) {
  const [wanted, setWanted] = useState("");
  const shown = labels.filter((label) => label.name.toLowerCase().includes(wanted.trim().toLowerCase()));

  const onKeyDown = (event: KeyboardEvent<HTMLInputElement>) => {
    if (event.key !== "Enter" && event.key !== "Escape") return;
    event.preventDefault();
    const first = shown[0];
    if (event.key === "Enter" && first && wanted.trim() !== "") onPick(first.name);
    setWanted("");
    onLeave();
  };

  return (
    <>
      {labels.length >= FILTER_FROM && (
        <input
          ref={filter}
          className="filter"
          type="search"
          placeholder="Find a label  /"
          aria-label="Find a label"
          value={wanted}
          onChange={(event) => setWanted(event.target.value)}
          onKeyDown={onKeyDown}
        />
      )}
      <div className="labels" style={{ gridTemplateColumns: columnsFor(labels) }} role="group" aria-label="Labels">
        {shown.map((label) => {
          const marked = selected === null ? label.name === current : label.name === selected;
          return (
            <button
              key={label.name}
              className={`label ${marked ? "current" : ""}`}
              data-testid={`label-${label.name}`}
              aria-pressed={marked}
              title={relabels(label) ? `Relabel the selected shape as ${label.name}` : `Draw ${label.name}`}
              onMouseDown={(event) => event.preventDefault()}
              onClick={() => onPick(label.name)}
            >
              <span className={`dot ${label.geometry ?? "box"}`} style={{ background: colorOf(palette, label.name) }} />
              <span className="text">{label.name}</span>
              {label.key && <kbd>{label.key.toUpperCase()}</kbd>}
            </button>
          );
        })}
        {shown.length === 0 && <p className="muted none">No label matches.</p>}
      </div>
    </>
  );
}
