import { useEffect, useRef } from "react";
import type { Label } from "../api/types";
import { type Palette, colorOf } from "./colors";
import type { Edit, Editor } from "./editor";
import { shapesOf } from "./editor";
import { heightOf, widthOf } from "./geometry";
import { type Shape, originOf, scoreOf } from "./shapes";

interface Props {
  readonly editor: Editor;
  readonly labels: readonly Label[];
  readonly palette: Palette;
  readonly hover: string | null;
  readonly onHover: (id: string | null) => void;
  readonly onEdit: (edit: Edit) => void;
}

export function ShapeList({ editor, labels, palette, hover, onHover, onEdit }: Props) {
  const shapes = shapesOf(editor);
  if (shapes.length === 0) {
    return (
      <p className="muted none">No boxes. Drag on the image to draw one, or submit if there is nothing to label.</p>
    );
  }
  return (
    <ul className="shapes" aria-label="Boxes">
      {shapes.map((shape, index) => (
        <Row
          key={shape.id}
          shape={shape}
          index={index}
          labels={labels}
          color={colorOf(palette, shape.label)}
          known={palette.has(shape.label)}
          selected={shape.id === editor.selected}
          hovered={shape.id === hover}
          onHover={onHover}
          onEdit={onEdit}
        />
      ))}
    </ul>
  );
}

interface RowProps {
  readonly shape: Shape;
  readonly index: number;
  readonly labels: readonly Label[];
  readonly color: string;
  readonly known: boolean;
  readonly selected: boolean;
  readonly hovered: boolean;
  readonly onHover: (id: string | null) => void;
  readonly onEdit: (edit: Edit) => void;
}

function Row({ shape, index, labels, color, known, selected, hovered, onHover, onEdit }: RowProps) {
  const row = useRef<HTMLLIElement>(null);
  useEffect(() => {
    if (selected) row.current?.scrollIntoView({ block: "nearest" });
  }, [selected]);
  const score = scoreOf(shape);
  const origin = originOf(shape);
  const select = () => onEdit({ type: "select", id: shape.id });
  return (
    <li
      ref={row}
      className={`shape ${selected ? "selected" : ""} ${hovered ? "hovered" : ""}`}
      style={{ borderLeftColor: color }}
      data-testid={`shape-row-${index}`}
      data-label={shape.label}
      data-selected={selected ? "true" : "false"}
      data-box={shape.box.join(",")}
      aria-current={selected}
      onMouseEnter={() => onHover(shape.id)}
      onMouseLeave={() => onHover(null)}
      onClick={select}
    >
      {selected ? (
        <select
          aria-label={`Label of box ${index + 1}`}
          value={known ? shape.label : ""}
          onChange={(event) => onEdit({ type: "relabel", id: shape.id, label: event.target.value })}
        >
          {!known && <option value="">{shape.label} (unknown)</option>}
          {labels.map((label) => (
            <option key={label.name} value={label.name}>
              {label.name}
            </option>
          ))}
        </select>
      ) : (
        <button className="name" onClick={select} onMouseDown={(event) => event.preventDefault()}>
          {shape.label}
        </button>
      )}
      {!known && !selected && <span className="badge warn">unknown label</span>}
      <span className="size muted">
        {widthOf(shape.box).toFixed(0)}×{heightOf(shape.box).toFixed(0)}
      </span>
      <span className={`origin ${origin}`} title={ORIGINS[origin]}>
        {origin === "drawn" ? "drawn" : (score?.toFixed(2) ?? "relabelled")}
        {origin === "edited" && score !== null ? "*" : ""}
      </span>
      <button
        className="icon remove"
        aria-label={`Remove box ${index + 1}, ${shape.label}`}
        title="Remove (Delete)"
        onMouseDown={(event) => event.preventDefault()}
        onClick={(event) => {
          event.stopPropagation();
          onEdit({ type: "remove", id: shape.id });
        }}
      >
        ✕
      </button>
    </li>
  );
}

const ORIGINS = {
  model: "As the model proposed it, with its score",
  edited: "Proposed by the model and changed by you",
  drawn: "Drawn by you",
} as const;
