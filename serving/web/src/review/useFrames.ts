import type { Task } from "../api/types";
import { followed, freshTrack } from "./clip";
import { type Edit, type Editor, selectedOf, shapesOf } from "./editor";
import { useFor } from "./useFor";

interface Needs {
  readonly task: Task;
  readonly editor: Editor;
  /** The index of the frame on screen. */
  readonly frame: number | null;
  readonly show: (index: number) => void;
  readonly edit: (edit: Edit) => void;
}

/** Going through the frames of a clip, with one object followed from one to the next. */
export function useFrames({ task, editor, frame, show, edit }: Needs) {
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
    const shape = following === null ? null : followed(shapes, following, frame);
    if (shape) edit({ type: "take", shapes: [shape] });
  };

  return { go, step, setKey };
}
