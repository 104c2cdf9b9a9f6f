import type { Task } from "../api/types";
import { bytes, moment, short } from "../app/format";
import type { Loaded } from "./images";

interface Props {
  readonly task: Task;
  readonly loaded: Loaded | null;
  readonly note: string;
  readonly onNote: (note: string) => void;
}

export function Facts({ task, loaded, note, onNote }: Props) {
  return (
    <>
      <dl className="facts">
        {task.file !== "" && (
          <>
            <dt>File</dt>
            <dd className="whole">{task.file}</dd>
          </>
        )}
        <dt>Size</dt>
        <dd>
          {task.width} × {task.height} px{loaded && `, ${bytes(loaded.bytes)}`}
        </dd>
        <dt>Image</dt>
        <dd title={task.item_digest}>
          <code>{short(task.item_digest)}</code>
        </dd>
        <dt>Task</dt>
        <dd>
          <code>{task.id}</code>
        </dd>
        <dt>Queued</dt>
        <dd>{moment(task.created_at)}</dd>
      </dl>
      <label className="field">
        <span>Note for the team</span>
        <textarea
          data-testid="note"
          rows={2}
          maxLength={4000}
          value={note}
          onChange={(event) => onNote(event.target.value)}
        />
      </label>
    </>
  );
}
