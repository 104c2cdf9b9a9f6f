import type { Task } from "../api/types";
import { type Positions, followed, freshTrack } from "./clip";
import { type Edit, type Editor, selectedOf, shapesOf } from "./editor";
import type { Notice } from "./session";
import type { Shape } from "./shapes";
import { useFor } from "./useFor";

interface Needs {
  readonly task: Task;
  readonly editor: Editor;
  /** The index of the frame on screen. */
  readonly frame: number | null;
  readonly positions: Positions;
  readonly show: (index: number) => void;
  readonly edit: (edit: Edit) => void;
  readonly notify: (notice: Notice) => void;
}

const NOTHING_LEAVES: Notice = {
  tone: "info",
  title: "No object is followed",
  detail: "Only an object that goes through several frames can be outside in one.",
  hint: "Select it where it is to be seen, press K, and go on from there.",
};

/** Going through the frames of a clip, with one object followed from one to the next. */
export function useFrames({ task, editor, frame, positions, show, edit, notify }: Needs) {
  const [following, follow] = useFor<string | null>(task.id, null);
  const shapes = shapesOf(editor);
  const selected = selectedOf(editor);

  const go = (index: number): void => {
    const track = selected?.track ?? following;
    follow(track);
    show(index);
    const same = track === null ? undefined : shapes.find((shape) => shape.track === track && shape.frame === index);
    edit({ type: "select", id: same?.id ?? null });
  };

  const step = (by: 1 | -1): void => {
    const frames = task.frames ?? [];
    const next = frames[frames.findIndex(({ index }) => index === frame) + by];
    if (next) go(next.index);
  };

  /** The selected shape becomes one object with others; with none selected, the followed object is set here. */
  const setKey = (): void => {
    if (frame === null) return;
    if (selected) {
      const track = selected.track ?? freshTrack(shapes);
      if (selected.track === null) edit({ type: "track", id: selected.id, track });
      return follow(track);
    }
    const shape = followedHere();
    if (shape) edit({ type: "take", shapes: [shape] });
  };

  /** The selected object, else the followed one, is not to be seen from here to its next key frame; again: it is. */
  const setOutside = (): void => {
    if (frame === null) return;
    const ofFollowed = (shape: Shape): boolean => following !== null && shape.track === following;
    const held = selected ?? shapes.find((shape) => shape.frame === frame && ofFollowed(shape));
    if (held?.track) return edit({ type: "outside", id: held.id, outside: !held.outside });
    const shape = held ? null : followedHere();
    if (shape) edit({ type: "take", shapes: [{ ...shape, outside: true }] });
    else notify(NOTHING_LEAVES);
  };

  const followedHere = (): Shape | null =>
    frame === null || following === null ? null : followed(shapes, following, frame, positions);

  return { go, step, setKey, setOutside };
}
