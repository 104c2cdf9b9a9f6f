import { useState } from "react";
import type { Api } from "../api/client";
import type { Group } from "../api/types";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import type { Asked, Page } from "../app/asked";
import { ago, count } from "../app/format";
import { useNow } from "../app/hooks";
import type { ViewProps } from "../app/view";
import { TasksDialog } from "./TasksDialog";

interface Props {
  readonly api: Api;
  readonly project: string;
  readonly notify: ViewProps["notify"];
  readonly asked: Asked<Page<Group>>;
  readonly onMore: () => void;
}

export function GroupsCard({ api, project, notify, asked, onMore }: Props) {
  const [chosen, setChosen] = useState<Group | null>(null);
  const now = useNow(10_000);
  return (
    <Card title="Clips and groups" testid="groups">
      <Fetched asked={asked} what="the groups">
        {({ rows, next }) =>
          rows.length === 0 ? (
            <p className="muted">None yet.</p>
          ) : (
            <>
              <div className="scroll">
                <table className="figures">
                  <thead>
                    <tr>
                      <th scope="col">Name</th>
                      <th scope="col" className="text">
                        Kind
                      </th>
                      <th scope="col">Frames</th>
                      <th scope="col" className="text">
                        State
                      </th>
                      <th scope="col" className="text">
                        Found amiss
                      </th>
                      <th scope="col">Made</th>
                      <th scope="col">
                        <span className="visually-hidden">What can be done</span>
                      </th>
                    </tr>
                  </thead>
                  <tbody>
                    {rows.map((group) => (
                      <Row key={group.id} group={group} now={now} onTasks={() => setChosen(group)} />
                    ))}
                  </tbody>
                </table>
              </div>
              {next !== null && <button onClick={onMore}>Show older groups</button>}
            </>
          )
        }
      </Fetched>
      {chosen && (
        <TasksDialog api={api} project={project} group={chosen} notify={notify} onClose={() => setChosen(null)} />
      )}
    </Card>
  );
}

interface RowProps {
  readonly group: Group;
  readonly now: number;
  readonly onTasks: () => void;
}

function Row({ group: { id, name, kind, frames, complete, notes, created_at }, now, onTasks }: RowProps) {
  return (
    <tr data-testid={`group-${id}`}>
      <th scope="row" title={id}>
        {name}
      </th>
      <td className="text">{kind}</td>
      <td>{count(frames)}</td>
      <td className="text">
        <span className={complete ? "badge good" : "badge warn"}>{complete ? "complete" : "not complete"}</span>
      </td>
      <td className="text wraps muted small">{notes.join(" ")}</td>
      <td className="muted">{ago(created_at, now)}</td>
      <td>
        <button data-testid="make-tasks" disabled={!complete} onClick={onTasks}>
          Make tasks…
        </button>
      </td>
    </tr>
  );
}
