/** What keys do to the selected shape: a pure function of the editor and the command. */
import { type Edit, type Editor, chosenOf, selectedOf } from "./editor";
import { grown, stretched } from "./geometry";
import type { Command } from "./keymap";
import { type Outline, boxed, middles, moved, vertexAdded, vertexMoved, vertexRemoved } from "./outline";
import type { Shape } from "./shapes";

/** `visible`: the shapes in their order on this image or frame. Null for what is no edit of a shape. */
export function keyEdits(command: Command, editor: Editor, visible: readonly Shape[]): readonly Edit[] | null {
  const held = selectedOf(editor);
  switch (command.type) {
    case "nudge":
      return held ? [reshaped(held, "move", nudged(held, editor, command.dx, command.dy))] : [];
    case "stretch": {
      if (held?.type !== "box") return [];
      return [reshaped(held, "stretch", boxed(stretched(held.box, command.dx, command.dy, editor.image)))];
    }
    case "grow":
      return held?.type === "box" ? [reshaped(held, "grow", boxed(grown(held.box, command.by, editor.image)))] : [];
    case "vertex":
      return held ? vertexChosen(held, editor.vertex, command.by) : [];
    case "vertex-add":
      return held ? vertexInserted(held, editor.vertex ?? 0) : [];
    case "mark":
      return nextMarked(chosenOf(editor), visible);
    case "remove":
      return held ? removed(held, editor) : [];
    case "undo":
    case "redo":
      return [{ type: command.type }];
    default:
      return null;
  }
}

const reshaped = (held: Shape, tag: string, outline: Outline): Edit => ({ type: "reshape", id: held.id, outline, tag });

function nudged(held: Shape, { vertex, image }: Editor, dx: number, dy: number): Outline {
  const point = vertex === null ? undefined : held.points[vertex];
  if (vertex === null || !point) return moved(held, dx, dy, image);
  return vertexMoved(held, vertex, { x: point.x + dx, y: point.y + dy }, image);
}

function vertexChosen(held: Shape, vertex: number | null, by: 1 | -1): Edit[] {
  const count = held.type === "point" ? 0 : held.points.length;
  if (count === 0) return [];
  const from = vertex ?? (by === 1 ? -1 : count);
  return [{ type: "vertex", index: (from + by + count) % count }];
}

/** In the middle of the edge after the chosen point; the new point is the chosen one then. */
function vertexInserted(held: Shape, vertex: number): Edit[] {
  const middle = middles(held).find(({ index }) => index === vertex + 1);
  if (!middle) return [];
  const outline = vertexAdded(held, middle.index, middle.at);
  return [
    { type: "reshape", id: held.id, outline },
    { type: "vertex", index: middle.index },
  ];
}

function nextMarked(chosen: readonly string[], visible: readonly Shape[]): Edit[] {
  const index = visible.findIndex(({ id }) => id === chosen.at(-1));
  const next = visible[(index + 1) % visible.length];
  return next && !chosen.includes(next.id) ? [{ type: "mark", id: next.id }] : [];
}

function removed(held: Shape, { vertex, image }: Editor): Edit[] {
  if (vertex === null) return [{ type: "remove", id: held.id }];
  return [
    { type: "vertex", index: null },
    { type: "reshape", id: held.id, outline: vertexRemoved(held, vertex, image) },
  ];
}
