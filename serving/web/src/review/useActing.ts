import type { Api } from "../api/client";
import { describe } from "../api/problem";
import { chosenOf, shapesOf } from "./editor";
import type { Current, Notice, ReviewSession } from "./session";
import { bodies, resulting } from "./shapes";
import { useFor } from "./useFor";

const CHANGED: Notice = {
  tone: "info",
  title: "The shapes changed meanwhile",
  detail: "What the function made of those before was left out.",
  hint: "Run it again.",
};

/** Runs the project's functions on the shapes, one at a time; each result is one step. */
export function useActing(api: Api, session: ReviewSession, current: Current, notify: (notice: Notice) => void) {
  const { task, editor } = current;
  const [running, setRunning] = useFor<string | null>(task.id, null);
  const [messages, setMessages] = useFor<readonly string[]>(task.id, []);

  const act = async (name: string): Promise<void> => {
    if (running !== null || current.lost) return;
    setRunning(name);
    const shapes = shapesOf(editor);
    const body = { epoch: task.epoch, shapes: bodies(shapes), selected: chosenOf(editor) };
    try {
      const result = await api.act(task.id, name, body);
      const now = session.snapshot().current;
      if (now?.task.id !== task.id) return;
      if (shapesOf(now.editor) !== shapes) return notify(CHANGED);
      session.edit({ type: "replace", shapes: resulting(shapes, result.shapes, task) });
      setMessages(result.messages);
    } catch (error) {
      notify({ tone: "error", ...describe(error) });
    } finally {
      setRunning(null);
    }
  };
  return { running, messages, act };
}
