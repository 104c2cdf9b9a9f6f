/** Runs of custom functions, newest first, those by buttons too; of a call what has come of it by now. */
import { Fragment, useState } from "react";
import type { Api } from "../api/client";
import type { ProjectEvent } from "../api/types";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { useAsked } from "../app/asked";
import { duration } from "../app/figures";
import { ago, count, short } from "../app/format";
import { useNow } from "../app/hooks";
import { fragmentOf } from "../session/route";
import { CallDetails } from "./CallDetails";
import { runs } from "./calls";
import { outcomeInWords, runOf, toneOf, triggerInWords, waitingInWords } from "./runs";

const REFRESH_MS = 5_000;
const FEW = 50;
const MOST = 1_000; // that the service gives

interface Props {
  readonly api: Api;
  readonly project: string;
}

export function RunsCard({ api, project }: Props) {
  const [limit, setLimit] = useState(FEW);
  const [opened, setOpened] = useState<number | null>(null);
  const asked = useAsked(() => runs(api, project, limit), `${project}/${limit}`, REFRESH_MS);
  const now = useNow(5_000);
  return (
    <Card
      title="Function runs"
      testid="function-runs"
      aside={
        asked.value && (
          <span className="muted small" data-testid="calls-waiting">
            {waitingInWords(asked.value.waiting)}
          </span>
        )
      }
    >
      <Fetched asked={asked} what="the runs">
        {({ runs: found }) =>
          found.length === 0 ? (
            <p className="muted">
              Nothing ran yet. The project’s policy says which functions it uses; <code>askance functions list</code>{" "}
              tells what is installed.
            </p>
          ) : (
            <>
              <div className="scroll">
                <table className="figures">
                  <thead>
                    <tr>
                      <th scope="col">Function</th>
                      <th scope="col" className="text">
                        Outcome
                      </th>
                      <th scope="col" className="text">
                        Called by
                      </th>
                      <th scope="col" className="text">
                        Item
                      </th>
                      <th scope="col">Try</th>
                      <th scope="col">Took</th>
                      <th scope="col" className="text">
                        Error
                      </th>
                      <th scope="col">When</th>
                    </tr>
                  </thead>
                  <tbody>
                    {found.map((event) => {
                      const { call } = runOf(event);
                      const isOpen = opened === event.sequence;
                      return (
                        <Fragment key={event.sequence}>
                          <Row
                            project={project}
                            event={event}
                            now={now}
                            opened={isOpen}
                            onOpen={() => setOpened(isOpen ? null : event.sequence)}
                          />
                          {isOpen && call !== null && (
                            <tr>
                              <td colSpan={8} className="text wraps">
                                <CallDetails api={api} project={project} call={call} />
                              </td>
                            </tr>
                          )}
                        </Fragment>
                      );
                    })}
                  </tbody>
                </table>
              </div>
              {found.length >= limit && limit < MOST && (
                <button data-testid="more-runs" onClick={() => setLimit(MOST)}>
                  Show the newest {count(MOST)}
                </button>
              )}
            </>
          )
        }
      </Fetched>
    </Card>
  );
}

interface RowProps {
  readonly project: string;
  readonly event: ProjectEvent;
  readonly now: number;
  readonly opened: boolean;
  readonly onOpen: () => void;
}

function Row({ project, event, now, opened, onOpen }: RowProps) {
  const run = runOf(event);
  return (
    <tr data-testid={`run-${event.sequence}`}>
      <th scope="row">
        {run.call === null ? (
          <span title={run.package}>{run.name}</span>
        ) : (
          <button className="link" aria-expanded={opened} title={run.package} onClick={onOpen}>
            {run.name}
          </button>
        )}
      </th>
      <td className="text">
        <span className={`badge ${toneOf(run.outcome)}`}>{outcomeInWords(run.outcome)}</span>
      </td>
      <td className="text">{triggerInWords(run.trigger)}</td>
      <td className="text">
        {run.item !== null && <a href={fragmentOf(project, "items", run.item)}>{short(run.item)}</a>}
      </td>
      <td>{count(run.attempt)}</td>
      <td>{duration(run.seconds)}</td>
      <td className="text wraps small">{run.why}</td>
      <td className="muted">{ago(event.at, now)}</td>
    </tr>
  );
}
