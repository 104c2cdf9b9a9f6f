import type { Api } from "../api/client";
import type { Label, Recipe } from "../api/types";
import { Card } from "../app/Card";
import { Markdown } from "../review/Markdown";
import { attributeInWords, linkInWords, ruleInWords } from "./words";

interface Props {
  readonly api: Api;
  readonly project: string;
  readonly recipe: Recipe;
}

export function RecipeCard({ api, project, recipe }: Props) {
  const { version, labels, links = [], rules = [], guidelines } = recipe;
  return (
    <Card
      title="Recipe"
      testid="recipe"
      aside={
        <span className="badge" data-testid="recipe-version">
          version {version}
        </span>
      }
    >
      <Labels labels={labels} />
      {links.length > 0 && (
        <Lines title="Links" lines={links.map((link) => ({ name: link.name, words: linkInWords(link), badge: "" }))} />
      )}
      {rules.length > 0 && (
        <Lines
          title="Rules"
          lines={rules.map((rule, number) => ({
            name: rule.id ?? `rule-${number + 1}`,
            words: ruleInWords(rule),
            badge: rule.severity ?? "error",
          }))}
        />
      )}
      <h3>Guidelines</h3>
      {guidelines.trim() === "" ? <p className="muted">None.</p> : <Markdown text={guidelines} api={api} project={project} />}
    </Card>
  );
}

function Labels({ labels }: { readonly labels: readonly Label[] }) {
  return (
    <div className="scroll">
      <table className="figures">
        <thead>
          <tr>
            <th scope="col">Label</th>
            <th scope="col" className="text">
              Key
            </th>
            <th scope="col" className="text">
              Drawn as
            </th>
            <th scope="col" className="text">
              Attributes
            </th>
            <th scope="col" className="text">
              Formerly
            </th>
          </tr>
        </thead>
        <tbody>
          {labels.map(({ name, color, key, geometry = "box", attributes = [], formerly = [] }) => (
            <tr key={name} data-testid={`recipe-label-${name}`}>
              <th scope="row">
                <span className="swatched">
                  <span className={`dot ${geometry}`} style={{ background: color }} title={color} />
                  {name}
                </span>
              </th>
              <td className="text">{key && <kbd>{key.toUpperCase()}</kbd>}</td>
              <td className="text">{geometry}</td>
              <td className="text wraps">{attributes.map(attributeInWords).join("; ")}</td>
              <td className="text wraps muted">{formerly.join(", ")}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

interface LinesProps {
  readonly title: string;
  readonly lines: readonly { readonly name: string; readonly words: string; readonly badge: string }[];
}

function Lines({ title, lines }: LinesProps) {
  return (
    <>
      <h3>{title}</h3>
      <ul className="lines">
        {lines.map(({ name, words, badge }) => (
          <li key={name}>
            <code>{name}</code>
            <span className="grow">{words}</span>
            {badge && <span className={badge === "error" ? "badge bad" : "badge warn"}>{badge}</span>}
          </li>
        ))}
      </ul>
    </>
  );
}
