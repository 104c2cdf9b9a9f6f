/** Python functions of this installation: what ran, and rules that failed. For operators. */
import "../app/cards.css";
import type { ViewProps } from "../app/view";
import { FailedRulesCard } from "./FailedRulesCard";
import { RunsCard } from "./RunsCard";

export default function FunctionsPage({ api, project }: ViewProps) {
  return (
    <div className="overview">
      <RunsCard api={api} project={project.id} />
      <FailedRulesCard api={api} project={project.id} />
    </div>
  );
}
