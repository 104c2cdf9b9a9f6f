/** What waits for people and who holds it: the tasks of the project in the order in which people get them. For operators. */
import { useState } from "react";
import type { ListedTask } from "../api/types";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { SureDialog } from "../app/SureDialog";
import { closing } from "../app/act";
import { useAsked, usePages } from "../app/asked";
import "../app/cards.css";
import { useNow } from "../app/hooks";
import type { ViewProps } from "../app/view";
import { people } from "../reviewers/calls";
import { FilterRow } from "./FilterRow";
import { TaskRows } from "./TaskRows";
import { takeBack, tasksAfter } from "./calls";
import { ALL, type Filters, emptyInWords, nameOf, queryOf } from "./queue";
import "./queue.css";

const REFRESH_MS = 10_000;
const PEOPLE_REFRESH_MS = 60_000;

export default function QueuePage({ api, project, notify }: ViewProps) {
  const [filters, setFilters] = useState<Filters>(ALL);
  const [taking, setTaking] = useState<ListedTask | null>(null);
  const now = useNow(1000);
  const known = useAsked(() => people(api), project.id, PEOPLE_REFRESH_MS);
  const query = queryOf(filters);
  const asked = usePages(
    async (after) => {
      const { tasks, next } = await tasksAfter(api, project.id, query, after);
      return { rows: tasks, next };
    },
    `${project.id}?${new URLSearchParams(query).toString()}`,
    REFRESH_MS,
  );
  const take = (task: ListedTask) =>
    closing(notify, asked.refresh, () => setTaking(null))(
      takeBack(api, task),
      `Taken back from ${task.holder}`,
      "Others get it in its turn.",
    );
  return (
    <div className="overview">
      <Card title="Queue" testid="task-queue">
        <p className="muted">
          In the order in which people get it; what is done or skipped, the last handed out first. Golden items are here
          once somebody has them.
        </p>
        <FilterRow filters={filters} people={known.value ?? []} onChange={setFilters} />
        <Fetched asked={asked} what="the queue">
          {({ rows, next }) => (
            <>
              {rows.length === 0 && next === null && (
                <p className="muted" data-testid="queue-empty">
                  {emptyInWords(filters)}
                </p>
              )}
              {rows.length > 0 && <TaskRows project={project.id} tasks={rows} now={now} onTake={setTaking} />}
              {next !== null && (
                <button data-testid="more-tasks" onClick={asked.more}>
                  Show more
                </button>
              )}
            </>
          )}
        </Fetched>
      </Card>
      {taking && (
        <SureDialog
          title={`Take it back from ${taking.holder}`}
          name="Take back"
          onSure={() => take(taking)}
          onClose={() => setTaking(null)}
        >
          <p>
            <strong>{nameOf(taking)}</strong> goes back to the queue, for whoever may do it. What {taking.holder} sends
            from now on is refused; a draft is kept for when they get it again. The history tells that it was you.
          </p>
        </SureDialog>
      )}
    </div>
  );
}
