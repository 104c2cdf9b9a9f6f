/** The state of one task's editing, changed only by `edited`: a pure function of the state and an action. */
import type { Label } from "../api/types";
import { type Value, withDefaults, withValue } from "./attributes";
import type { Size } from "./geometry";
import { type History, begun, redone, sealed, stepped, undone } from "./history";
import { type Outline, sameOutline } from "./outline";
import { type Link, type Shape, bare, copiesBeside, freshId, unlinked, withoutShapes } from "./shapes";

export interface Editor {
  readonly image: Size;
  /** Of the recipe that the task is answered under. */
  readonly labels: readonly Label[];
  readonly shapes: History<readonly Shape[]>;
  readonly selected: string | null;
  /** Others that are selected with it, for what is done to several at once. */
  readonly marked: readonly string[];
  /** The point of the selected shape that keys move, by its index. */
  readonly vertex: number | null;
}

export type Edit =
  | { type: "select"; id: string | null }
  | { type: "mark"; id: string }
  | { type: "vertex"; index: number | null }
  | { type: "cycle"; by: 1 | -1; among?: readonly string[] }
  | { type: "add"; label: string; outline: Outline; frame?: number | null }
  /** `tag`: equal tags in a row are undone together. */
  | { type: "reshape"; id: string; outline: Outline; tag?: string }
  | { type: "relabel"; id: string; label: string }
  | { type: "say"; id: string; attribute: string; value: Value | null; tag?: string }
  | { type: "track"; id: string; track: string }
  | { type: "outside"; id: string; outside: boolean }
  | { type: "link"; id: string; link: Link }
  | { type: "unlink"; id: string; link: Link }
  | { type: "remove"; id: string }
  /** Copies of others' shapes beside those that are there. `frame`: that on screen; none elsewhere is selected. */
  | { type: "take"; shapes: readonly Shape[]; frame?: number | null }
  /** All shapes, as one step. */
  | { type: "replace"; shapes: readonly Shape[] }
  | { type: "seal" }
  | { type: "undo" }
  | { type: "redo" };

export const opened = (image: Size, shapes: readonly Shape[], labels: readonly Label[] = []): Editor => ({
  image,
  labels,
  shapes: begun(shapes),
  selected: null,
  marked: [],
  vertex: null,
});

export const shapesOf = (editor: Editor): readonly Shape[] => editor.shapes.present;

export const shapeOf = (editor: Editor, id: string | null): Shape | null =>
  shapesOf(editor).find((shape) => shape.id === id) ?? null;

export const selectedOf = (editor: Editor): Shape | null => shapeOf(editor, editor.selected);

/** Ids of all that is selected, the main one first. */
export const chosenOf = (editor: Editor): string[] => [
  ...(editor.selected === null ? [] : [editor.selected]),
  ...editor.marked.filter((id) => id !== editor.selected),
];

export function edited(editor: Editor, edit: Edit): Editor {
  const shapes = shapesOf(editor);
  switch (edit.type) {
    case "select":
      return selecting(editor, edit.id);
    case "mark":
      return marking(editor, edit.id);
    case "vertex":
      return { ...editor, vertex: edit.index, shapes: sealed(editor.shapes) };
    case "cycle":
      return selecting(editor, neighbour(edit.among ?? shapes.map(({ id }) => id), editor.selected, edit.by));
    case "add": {
      const id = freshId(shapes);
      const { label, outline, frame = null } = edit;
      const added = { ...bare(id, label, outline), attributes: withDefaults({}, label, editor.labels), frame };
      return selecting({ ...editor, shapes: stepped(editor.shapes, [...shapes, added]) }, id);
    }
    case "reshape":
      return changed(
        editor,
        edit.id,
        (shape) => (sameOutline(shape, edit.outline) ? shape : { ...shape, ...placeOf(edit.outline) }),
        edit.tag,
      );
    case "relabel":
      return changed(editor, sameObject(shapes, edit.id), (shape) => relabelled(shape, edit.label, editor.labels));
    case "say":
      return changed(
        editor,
        edit.id,
        (shape) => ({ ...shape, attributes: withValue(shape.attributes, edit.attribute, edit.value) }),
        edit.tag,
      );
    case "track":
      return changed(editor, edit.id, (shape) => ({ ...shape, track: edit.track }));
    case "outside":
      return changed(editor, edit.id, (shape) =>
        shape.outside === edit.outside ? shape : { ...shape, outside: edit.outside },
      );
    case "link":
      return changed(editor, edit.id, (shape) =>
        shape.links.some((link) => sameLink(link, edit.link))
          ? shape
          : { ...shape, links: [...shape.links, edit.link] },
      );
    case "unlink":
      return changed(editor, edit.id, (shape) => unlinked(shape, (link) => sameLink(link, edit.link)));
    case "remove":
      return without(editor, edit.id);
    case "take": {
      const added = copiesBeside(shapes, edit.shapes);
      if (added.length === 0) return editor;
      const seen = added.find((shape) => (edit.frame ?? shape.frame) === shape.frame);
      return selecting({ ...editor, shapes: stepped(editor.shapes, [...shapes, ...added]) }, seen?.id ?? null);
    }
    case "replace":
      return settled({ ...editor, shapes: stepped(editor.shapes, edit.shapes) });
    case "seal":
      return { ...editor, shapes: sealed(editor.shapes) };
    case "undo":
      return settled({ ...editor, shapes: undone(editor.shapes) });
    case "redo":
      return settled({ ...editor, shapes: redone(editor.shapes) });
  }
}

const selecting = (editor: Editor, id: string | null): Editor => ({
  ...editor,
  selected: id,
  marked: [],
  vertex: null,
  shapes: sealed(editor.shapes),
});

/** With nothing selected the marked one becomes the selection; marked again it is left out. */
function marking(editor: Editor, id: string): Editor {
  if (editor.selected === null) return selecting(editor, id);
  if (editor.selected === id) {
    const [next = null, ...rest] = editor.marked;
    return { ...selecting(editor, next), marked: rest };
  }
  const others = editor.marked.filter((other) => other !== id);
  return { ...editor, marked: others.length < editor.marked.length ? others : [...others, id] };
}

/** What was said of it stays as far as the new label has such an attribute. */
function relabelled(shape: Shape, label: string, labels: readonly Label[]): Shape {
  if (shape.label === label) return shape;
  return { ...shape, label, attributes: withDefaults(shape.attributes, label, labels) };
}

const placeOf = ({ type, box, points }: Outline): Outline => ({ type, box, points });

const sameLink = (a: Link, b: Link): boolean => a.type === b.type && a.to === b.to;

/** `of`: the shapes' ids. */
function changed(editor: Editor, of: string | readonly string[], change: (shape: Shape) => Shape, tag = ""): Editor {
  const shapes = shapesOf(editor);
  const ids = typeof of === "string" ? [of] : of;
  const next = shapes.map((shape) => (ids.includes(shape.id) ? change(shape) : shape));
  if (next.every((shape, index) => shape === shapes[index])) return editor;
  return { ...editor, shapes: stepped(editor.shapes, next, tag === "" ? "" : `${tag}:${ids.join()}`) };
}

/** Ids of the shape's object in all frames of a clip: it has one label. */
function sameObject(shapes: readonly Shape[], id: string): string[] {
  const track = shapes.find((shape) => shape.id === id && shape.frame !== null)?.track ?? null;
  return track === null ? [id] : shapes.filter((shape) => shape.track === track).map((shape) => shape.id);
}

/** The shape after the removed one is selected next, so that a row of wrong boxes goes with a row of Deletes. */
function without(editor: Editor, id: string): Editor {
  const shapes = shapesOf(editor);
  const index = shapes.findIndex((shape) => shape.id === id);
  if (index < 0) return editor;
  const rest = withoutShapes(shapes, new Set([id]));
  const next = rest[Math.min(index, rest.length - 1)] ?? null;
  const selected = editor.selected === id ? (next?.id ?? null) : editor.selected;
  return settled({ ...editor, selected, vertex: null, shapes: stepped(editor.shapes, rest) });
}

function neighbour(ids: readonly string[], selected: string | null, by: 1 | -1): string | null {
  if (ids.length === 0) return null;
  const index = ids.findIndex((id) => id === selected);
  const next = index < 0 ? (by === 1 ? 0 : ids.length - 1) : (index + by + ids.length) % ids.length;
  return ids[next] ?? null;
}

/** A selection that undo or redo took away is no selection. */
function settled(editor: Editor): Editor {
  const known = new Set(shapesOf(editor).map(({ id }) => id));
  const held = selectedOf(editor);
  const vertex = held && editor.vertex !== null && editor.vertex < held.points.length ? editor.vertex : null;
  return {
    ...editor,
    selected: held?.id ?? null,
    marked: editor.marked.filter((id) => known.has(id)),
    vertex,
  };
}
