import { useEffect, useRef } from "react";
import type { Label } from "../api/types";
import { type Palette, colorOf } from "./colors";
import type { Edit, Editor } from "./editor";
import { heightOf, widthOf } from "./geometry";
import { PinSign } from "./PinSign";
import type { Matter } from "./matters";
import { type Shape, originOf, scoreOf } from "./shapes";

interface Props {
  readonly editor: Editor;
  /** Those on this image or frame. */
  readonly shapes: readonly Shape[];
  readonly pins: ReadonlyMap<string, Matter["kind"]>;
  readonly labels: readonly Label[];
  readonly palette: Palette;
  readonly hover: string | null;
  readonly onHover: (id: string | null) => void;
  readonly onEdit: (edit: Edit) => void;
}

export function ShapeList({ editor, shapes, pins, labels, palette, hover, onHover, onEdit }: Props) {
  if (shapes.length === 0) {
    return <p className="muted none">No shapes. Draw one (N), or submit if there is nothing to label.</p>;
  }
  return (
    <ul className="shapes" aria-label="Shapes">
      {shapes.map((shape, index) => (
        <Row
          key={shape.id}
          shape={shape}
          index={index}
          labels={labels}
          color={colorOf(palette, shape.label)}
          known={palette.has(shape.label)}
          selected={shape.id === editor.selected}
          marked={editor.marked.includes(shape.id)}
          pin={pins.get(shape.id) ?? null}
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
  readonly marked: boolean;
  readonly pin: Matter["kind"] | null;
  readonly hovered: boolean;
  readonly onHover: (id: string | null) => void;
  readonly onEdit: (edit: Edit) => void;
}

function Row({ shape, index, labels, color, known, selected, marked, pin, hovered, onHover, onEdit }: RowProps) {
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
      className={`shape ${selected || marked ? "selected" : ""} ${hovered ? "hovered" : ""}`}
      style={{ borderLeftColor: color }}
      data-testid={`shape-row-${index}`}
      data-label={shape.label}
      data-selected={selected ? "true" : "false"}
      data-box={shape.box.join(",")}
      aria-current={selected}
      onMouseEnter={() => onHover(shape.id)}
      onMouseLeave={() => onHover(null)}
      onClick={(event) => (event.shiftKey ? onEdit({ type: "mark", id: shape.id }) : select())}
    >
      {selected ? (
        <select
          aria-label={`Label of shape ${index + 1}`}
          value={known ? shape.label : ""}
          onChange={(event) => onEdit({ type: "relabel", id: shape.id, label: event.target.value })}
          onKeyDown={(event) => event.key === "Delete" && onEdit({ type: "remove", id: shape.id })}
        >
          {!known && <option value="">{shape.label} (unknown)</option>}
          {labels
            .filter(({ geometry = "box" }) => geometry === shape.type)
            .map((label) => (
              <option key={label.name} value={label.name}>
                {label.name}
              </option>
            ))}
        </select>
      ) : (
        <button className="name" onMouseDown={(event) => event.preventDefault()}>
          {shape.label}
        </button>
      )}
      {pin && <PinSign kind={pin} />}
      {shape.group !== null && (
        <span className="badge" title="Group">
          {shape.group}
        </span>
      )}
      {shape.track !== null && (
        <span className="badge info" title="Track">
          {shape.track}
        </span>
      )}
      {shape.outside && (
        <span className="badge warn" title="Not to be seen until its next key frame (O)" data-testid="is-outside">
          outside
        </span>
      )}
      {!known && !selected && <span className="badge warn">unknown label</span>}
      <span className="size muted">{sizeOf(shape)}</span>
      <span className={`origin ${origin}`} title={ORIGINS[origin]}>
        {origin === "drawn" ? "drawn" : (score?.toFixed(2) ?? "relabelled")}
        {origin === "edited" && score !== null ? "*" : ""}
      </span>
      <button
        className="icon remove"
        aria-label={`Remove shape ${index + 1}, ${shape.label}`}
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

const sizeOf = (shape: Shape): string =>
  shape.type === "point" ? "point" : `${widthOf(shape.box).toFixed(0)}×${heightOf(shape.box).toFixed(0)}`;

const ORIGINS = {
  model: "As the model proposed it, with its score",
  edited: "Proposed by the model and changed by a person",
  drawn: "Drawn by a person",
} as const;
