/** How the project routes, queues, checks and promises, as a form or one document; when it trains by itself. For operators. */
import "../app/cards.css";
import { Fetched } from "../app/Fetched";
import { useAsked } from "../app/asked";
import type { ViewProps } from "../app/view";
import { PolicyCard } from "./PolicyCard";
import { TriggersCard } from "./TriggersCard";

const REFRESH_MS = 60_000;

export default function PolicyPage({ api, me, project, notify }: ViewProps) {
  const asked = useAsked(() => api.project(project.id), project.id, REFRESH_MS);
  return (
    <div className="overview">
      <Fetched asked={asked} what="the policy">
        {({ policy }) => (
          <PolicyCard {...{ api, me, policy, notify }} project={project.id} onSent={asked.refresh} />
        )}
      </Fetched>
      <TriggersCard api={api} me={me} project={project.id} notify={notify} />
    </div>
  );
}
