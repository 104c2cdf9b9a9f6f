import type { GroupThreshold, Thresholds } from "../api/types";
import { exactly } from "../app/figures";
import { count, percent } from "../app/format";
import { groupInWords, neededInWords, thresholdInWords } from "./quality";

interface Shown {
  readonly thresholds: Pick<Thresholds, "groups" | "promises">;
}

/** Group by group: from which risk on people look, and what is known of what passes. */
export function GroupTable({ thresholds: { groups, promises } }: Shown) {
  return (
    <div className="scroll">
      <table className="figures" data-testid="groups">
        <thead>
          <tr>
            {promises.length > 1 && <th scope="col">Promise</th>}
            <th scope="col" className="text">
              Group
            </th>
            <th scope="col">People look from risk</th>
            <th scope="col">Passes</th>
            <th scope="col">Fails and passes</th>
            <th scope="col">At most (bound)</th>
            <th scope="col">Promised</th>
            <th scope="col">Answers</th>
          </tr>
        </thead>
        {groups.map((group) => (
          <Group
            key={`${group.promise}/${group.group}`}
            group={group}
            alpha={promises[group.promise - 1]?.alpha ?? null}
            numbered={promises.length > 1}
          />
        ))}
      </table>
    </div>
  );
}

interface GroupProps {
  readonly group: GroupThreshold;
  readonly alpha: number | null;
  readonly numbered: boolean;
}

function Group({ group, alpha, numbered }: GroupProps) {
  const passes = group.value > 0;
  return (
    <tbody data-testid={`group-${group.promise}-${group.group}`}>
      <tr className="told-below">
        {numbered && <td>{group.promise}</td>}
        <th scope="row" className="text">
          {groupInWords(group.group)}
        </th>
        <td>{thresholdInWords(group.value)}</td>
        <td>{percent(group.automation)}</td>
        <td>{passes ? percent(group.passing, 1) : "–"}</td>
        <td className={passes && alpha !== null ? (group.bound <= alpha ? "up" : "down") : ""}>
          {passes ? percent(group.bound, 1) : "–"}
        </td>
        <td>{alpha === null ? "–" : exactly(alpha)}</td>
        <td>
          {count(group.answered)} <span className="muted">({count(group.audits)} at random)</span>
        </td>
      </tr>
      <tr>
        <td colSpan={numbered ? 8 : 7} className="text wraps muted small">
          More audits for this much to pass: {neededInWords(group.needed)}
          {group.reasons.map(({ code, detail }) => (
            <div key={code}>{detail}</div>
          ))}
        </td>
      </tr>
    </tbody>
  );
}
