import type { Api } from "../api/client";
import type { Thresholds } from "../api/types";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { usePages } from "../app/asked";
import { count, moment, percent } from "../app/format";
import { thresholds } from "./calls";
import { BASES, WHYS, groupInWords, thresholdInWords } from "./quality";

const REFRESH_MS = 60_000;

/** Every record that routed, the newest first. */
export function ThresholdHistory({ api, project }: { readonly api: Api; readonly project: string }) {
  const asked = usePages(
    async (before) => {
      const page = await thresholds(api, project, before);
      return { rows: page.thresholds, next: page.next === null ? null : String(page.next) };
    },
    project,
    REFRESH_MS,
  );
  return (
    <Card title="Thresholds so far" testid="thresholds">
      <Fetched asked={asked} what="the records">
        {({ rows, next }) =>
          rows.length === 0 ? (
            <p className="muted">None yet.</p>
          ) : (
            <>
              <div className="scroll">
                <table className="figures">
                  <thead>
                    <tr>
                      <th scope="col">Version</th>
                      <th scope="col" className="text">
                        Made
                      </th>
                      <th scope="col" className="text">
                        Why
                      </th>
                      <th scope="col" className="text">
                        Risk from which people look
                      </th>
                      <th scope="col">Passes</th>
                      <th scope="col">Answers</th>
                      <th scope="col" className="text">
                        Judged by
                      </th>
                    </tr>
                  </thead>
                  <tbody>
                    {rows.map((record) => (
                      <Row key={record.version} record={record} />
                    ))}
                  </tbody>
                </table>
              </div>
              {next !== null && <button onClick={asked.more}>Show older ones</button>}
            </>
          )
        }
      </Fetched>
    </Card>
  );
}

const TOLD = 3; // groups in a row

function Row({ record }: { readonly record: Thresholds }) {
  const { groups } = record;
  const told = groups.slice(0, TOLD).map(({ group, value }) => `${groupInWords(group)}: ${thresholdInWords(value)}`);
  return (
    <tr data-testid={`thresholds-${record.version}`}>
      <th scope="row">{record.version}</th>
      <td className="text">{moment(record.created_at)}</td>
      <td className="text">
        {record.alarm ? <span className="badge bad">{WHYS[record.why]}</span> : WHYS[record.why]}
      </td>
      <td className="text wraps small">
        {told.join(" · ")}
        {groups.length > TOLD && ` and ${count(groups.length - TOLD)} more`}
      </td>
      <td>{percent(record.automation)}</td>
      <td>{count(record.answered)}</td>
      <td className="text muted small">{BASES[record.basis]}</td>
    </tr>
  );
}
