import { useState } from "react";
import type { Api } from "../api/client";
import { type Described, describe } from "../api/problem";
import type { Group } from "../api/types";
import { Confirm } from "../app/Asking";
import { Dialog } from "../app/Dialog";
import { ProblemNote } from "../app/ProblemNote";
import { counted } from "../app/figures";
import type { ViewProps } from "../app/view";
import { makeTasks } from "./calls";
import { tasksInWords, windowOf } from "./clips";

const MOST = 1_000; // frames of a task

interface Props {
  readonly api: Api;
  readonly project: string;
  readonly group: Group;
  readonly notify: ViewProps["notify"];
  readonly onClose: () => void;
}

/** Stays open with what is wrong, so that another window can be asked for. */
export function TasksDialog({ api, project, group, notify, onClose }: Props) {
  const [typed, setTyped] = useState("");
  const [problem, setProblem] = useState<Described | null>(null);
  const [busy, setBusy] = useState(false);
  const make = async () => {
    setBusy(true);
    try {
      const tasks = await makeTasks(api, project, group.id, windowOf(typed));
      notify({ tone: "info", title: tasksInWords(tasks), detail: `Over ${group.name}.`, hint: "" });
      onClose();
    } catch (error) {
      setProblem(describe(error));
      setBusy(false);
    }
  };
  return (
    <Dialog title="Make tasks" onClose={onClose} onSubmit={() => void make()} testid="tasks-dialog">
      <p>
        People annotate {group.name}, {counted(group.frames, "frame")}, as one task or in windows. Asked for again, the
        same tasks stay.
      </p>
      <label className="field">
        <span>Frames of a task; empty: one task over all</span>
        <input
          data-first
          data-testid="tasks-window"
          type="number"
          min={1}
          max={MOST}
          step={1}
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
        />
      </label>
      {problem && <ProblemNote problem={problem} testid="tasks-refused" />}
      <Confirm name="Make tasks" disabled={busy} onClose={onClose} />
    </Dialog>
  );
}
