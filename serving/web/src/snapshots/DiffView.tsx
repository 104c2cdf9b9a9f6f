import type { SnapshotDiff } from "../api/types";
import { Back } from "../app/Back";
import { Card } from "../app/Card";
import { Fetched } from "../app/Fetched";
import { useAsked } from "../app/asked";
import { count, short } from "../app/format";
import type { ViewProps } from "../app/view";
import { fragmentOf } from "../session/route";
import { diff } from "./calls";
import { type Change, changesOf, furtherOf, placeOfDiff } from "./snapshots";

const REFRESH_MS = 3_600_000; // neither ever changes

interface Props extends ViewProps {
  readonly before: string;
  readonly after: string;
}

/** What two snapshots differ in. */
export function DiffView({ api, project, onPlace, before, after }: Props) {
  const asked = useAsked(() => diff(api, project.id, before, after), placeOfDiff(before, after), REFRESH_MS);
  return (
    <>
      <Back to="All snapshots" testid="back-to-snapshots" onBack={() => onPlace(null)} />
      <Card
        title="What changed"
        testid="diff"
        aside={
          <>
            <span>
              <code title={before}>{short(before)}</code> → <code title={after}>{short(after)}</code>
            </span>
            <span className="grow" />
            <button data-testid="turn-round" onClick={() => onPlace(placeOfDiff(after, before))}>
              Turn round
            </button>
          </>
        }
      >
        <Fetched asked={asked} what="what changed">
          {(found) =>
            found.equal ? (
              <p className="muted">Both hold the same.</p>
            ) : (
              <>
                <Counts found={found} />
                {changesOf(found).map((change) => (
                  <Changed key={change.name} project={project.id} change={change} />
                ))}
              </>
            )
          }
        </Fetched>
      </Card>
    </>
  );
}

function Counts({ found: { images, shapes } }: { readonly found: SnapshotDiff }) {
  const rows = [
    ...Object.entries(images).map(([split, one]) => ({ key: `split ${split}`, name: `Images: ${split}`, ...one })),
    ...Object.entries(shapes).map(([label, one]) => ({ key: `label ${label}`, name: `Boxes: ${label}`, ...one })),
  ];
  return (
    <div className="scroll">
      <table className="figures">
        <thead>
          <tr>
            <th scope="col" />
            <th scope="col">Before</th>
            <th scope="col">After</th>
            <th scope="col">Change</th>
          </tr>
        </thead>
        <tbody>
          {rows.map(({ key, name, before, after }) => (
            <tr key={key}>
              <th scope="row">{name}</th>
              <td>{count(before)}</td>
              <td>{count(after)}</td>
              <td>{after === before ? "0" : `${after > before ? "+" : "−"}${count(Math.abs(after - before))}`}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Changed({ project, change }: { readonly project: string; readonly change: Change }) {
  const { name, count: all, items } = change;
  const further = furtherOf(change);
  return (
    <details data-testid={`changed-${name}`}>
      <summary>
        {name}: <strong>{count(all)}</strong>
      </summary>
      <ul className="digests">
        {items.map(({ item, how }) => (
          <li key={item}>
            <a href={fragmentOf(project, "items", item)} title={item}>
              <code>{short(item)}</code>
            </a>
            {how && <span className="muted small">{how}</span>}
          </li>
        ))}
      </ul>
      {further && <p className="muted small">{further}: askance snapshot diff --json lists up to 10,000.</p>}
    </details>
  );
}
