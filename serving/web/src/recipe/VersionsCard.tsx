import type { RecipeVersion } from "../api/types";
import { Card } from "../app/Card";
import { count } from "../app/format";

interface Props {
  /** The newest first. */
  readonly versions: readonly RecipeVersion[];
  readonly onOpen: (version: number) => void;
}

export function VersionsCard({ versions, onOpen }: Props) {
  return (
    <Card title="Versions" testid="recipe-versions">
      <div className="scroll">
        <table className="figures">
          <thead>
            <tr>
              <th scope="col">Version</th>
              <th scope="col" className="text">
                Labels
              </th>
              <th scope="col">Links</th>
              <th scope="col">Rules</th>
              <th scope="col">Open tasks under it</th>
            </tr>
          </thead>
          <tbody>
            {versions.map(({ recipe: { version, labels, links = [], rules = [] }, open_tasks }) => (
              <tr key={version} className="opens" data-testid={`version-${version}`}>
                <th scope="row">
                  <button className="link" onClick={() => onOpen(version)}>
                    {version}
                  </button>
                </th>
                <td className="text wraps">{labels.map(({ name }) => name).join(", ")}</td>
                <td>{count(links.length)}</td>
                <td>{count(rules.length)}</td>
                <td>{count(open_tasks ?? 0)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Card>
  );
}
