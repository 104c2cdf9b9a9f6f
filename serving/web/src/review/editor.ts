/** The state of one task's editing, changed only by `edited`: a pure function of the state and an action. */
import type { Box, Size } from "./geometry";
import { type History, begun, redone, sealed, stepped, undone } from "./history";
import { type Shape, freshId, sameBox } from "./shapes";

export interface Editor {
  readonly image: Size;
  readonly shapes: History<readonly Shape[]>;
  readonly selected: string | null;
}

export type Edit =
  | { type: "select"; id: string | null }
  | { type: "cycle"; by: 1 | -1 }
  | { type: "add"; label: string; box: Box }
  /** `tag`: equal tags in a row are undone together. */
  | { type: "reshape"; id: string; box: Box; tag?: string }
  | { type: "relabel"; id: string; label: string }
  | { type: "remove"; id: string }
  | { type: "seal" }
  | { type: "undo" }
  | { type: "redo" };

export const opened = (image: Size, shapes: readonly Shape[]): Editor => ({
  image,
  shapes: begun(shapes),
  selected: null,
});

export const shapesOf = (editor: Editor): readonly Shape[] => editor.shapes.present;

export const selectedOf = (editor: Editor): Shape | null =>
  shapesOf(editor).find((shape) => shape.id === editor.selected) ?? null;

export function edited(editor: Editor, edit: Edit): Editor {
  const shapes = shapesOf(editor);
  switch (edit.type) {
    case "select":
      return { ...editor, selected: edit.id, shapes: sealed(editor.shapes) };
    case "cycle":
      return { ...editor, selected: neighbour(shapes, editor.selected, edit.by), shapes: sealed(editor.shapes) };
    case "add": {
      const id = freshId(shapes);
      const added = { id, label: edit.label, box: edit.box, proposed: null };
      return { ...editor, selected: id, shapes: stepped(editor.shapes, [...shapes, added]) };
    }
    case "reshape":
      return changed(
        editor,
        edit.id,
        (shape) => (sameBox(shape.box, edit.box) ? shape : { ...shape, box: edit.box }),
        edit.tag,
      );
    case "relabel":
      return changed(editor, edit.id, (shape) =>
        shape.label === edit.label ? shape : { ...shape, label: edit.label },
      );
    case "remove":
      return without(editor, edit.id);
    case "seal":
      return { ...editor, shapes: sealed(editor.shapes) };
    case "undo":
      return settled({ ...editor, shapes: undone(editor.shapes) });
    case "redo":
      return settled({ ...editor, shapes: redone(editor.shapes) });
  }
}

function changed(editor: Editor, id: string, change: (shape: Shape) => Shape, tag = ""): Editor {
  const shapes = shapesOf(editor);
  const next = shapes.map((shape) => (shape.id === id ? change(shape) : shape));
  if (next.every((shape, index) => shape === shapes[index])) return editor;
  return { ...editor, shapes: stepped(editor.shapes, next, tag === "" ? "" : `${tag}:${id}`) };
}

/** The shape after the removed one is selected next, so that a row of wrong boxes goes with a row of Deletes. */
function without(editor: Editor, id: string): Editor {
  const shapes = shapesOf(editor);
  const index = shapes.findIndex((shape) => shape.id === id);
  if (index < 0) return editor;
  const rest = shapes.filter((shape) => shape.id !== id);
  const next = rest[Math.min(index, rest.length - 1)] ?? null;
  const selected = editor.selected === id ? (next?.id ?? null) : editor.selected;
  return { ...editor, selected, shapes: stepped(editor.shapes, rest) };
}

function neighbour(shapes: readonly Shape[], selected: string | null, by: 1 | -1): string | null {
  if (shapes.length === 0) return null;
  const index = shapes.findIndex((shape) => shape.id === selected);
  const next = index < 0 ? (by === 1 ? 0 : shapes.length - 1) : (index + by + shapes.length) % shapes.length;
  return shapes[next]?.id ?? null;
}

/** A selection that undo or redo took away is no selection. */
const settled = (editor: Editor): Editor => (selectedOf(editor) ? editor : { ...editor, selected: null });
