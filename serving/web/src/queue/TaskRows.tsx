import type { ListedTask } from "../api/types";
import { ago, count, shortId } from "../app/format";
import { fragmentOf } from "../session/route";
import { STAGES, TONES, dueOf, leaseOf, madeInWords, nameOf, whoMay } from "./queue";

interface Props {
  readonly project: string;
  readonly tasks: readonly ListedTask[];
  readonly now: number;
  readonly onTake: (task: ListedTask) => void;
}

export function TaskRows({ project, tasks, now, onTake }: Props) {
  return (
    <div className="scroll">
      <table className="figures">
        <thead>
          <tr>
            <th scope="col">Item</th>
            <th scope="col" className="text">
              Task
            </th>
            <th scope="col" className="text">
              Stage
            </th>
            <th scope="col" className="text">
              State
            </th>
            <th scope="col" className="text">
              For
            </th>
            <th scope="col" title="the risk that it is ordered by, from 0 to 1">
              Priority
            </th>
            <th scope="col">Made</th>
            <th scope="col" className="text">
              Due
            </th>
            <th scope="col">Skips</th>
            <th scope="col" className="text">
              Holder
            </th>
            <th scope="col">
              <span className="visually-hidden">Take back</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {tasks.map((task) => (
            <Row key={task.id} project={project} task={task} now={now} onTake={() => onTake(task)} />
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface RowProps {
  readonly project: string;
  readonly task: ListedTask;
  readonly now: number;
  readonly onTake: () => void;
}

function Row({ project, task, now, onTake }: RowProps) {
  const due = dueOf(task, now);
  const lease = leaseOf(task, now);
  return (
    <tr data-testid={`queued-${task.id}`}>
      <th scope="row">
        <a href={fragmentOf(project, "items", task.item_digest)} title={task.item_digest}>
          {nameOf(task)}
        </a>
      </th>
      <td className="text">
        <code title={`${task.id}; ${madeInWords(task)}`}>{shortId(task.id)}</code>
      </td>
      <td className="text">{STAGES[task.stage]}</td>
      <td className="text">
        <span className={`badge ${TONES[task.state]}`}>{task.state}</span>
      </td>
      <td className="text">
        {task.nobody ? (
          <span className="badge bad" title={`it needs ${whoMay(task)}`}>
            nobody
          </span>
        ) : (
          whoMay(task)
        )}
      </td>
      <td>{task.priority.toFixed(2)}</td>
      <td className="muted">{ago(task.created_at, now)}</td>
      <td className="text">{due.tone ? <span className={`badge ${due.tone}`}>{due.words}</span> : due.words}</td>
      <td>{task.skips > 0 && count(task.skips)}</td>
      <td className="text">
        {task.holder}
        {lease && <span className="muted small"> {lease}</span>}
      </td>
      <td>
        {task.state === "leased" && (
          <button data-testid="take-back" onClick={onTake}>
            Take back
          </button>
        )}
      </td>
    </tr>
  );
}
