/** What the work of people takes, which items are hard to tell, whether predictions lead people, what it costs. For
 *  operators. */
import { useState } from "react";
import "../app/cards.css";
import { useNow } from "../app/hooks";
import type { ViewProps } from "../app/view";
import { AmbiguousCard } from "./AmbiguousCard";
import { BiasCard } from "./BiasCard";
import { CostCard } from "./CostCard";
import { ThroughputCard } from "./ThroughputCard";
import { sinceOf } from "./work";

const DAYS = [1, 7, 30, 90, 365];

export interface SpanProps extends Pick<ViewProps, "api" | "project" | "notify"> {
  /** An ISO time; until now. */
  readonly since: string;
  /** In words of the days. */
  readonly span: string;
}

export default function WorkPage({ api, project, notify }: ViewProps) {
  const [days, setDays] = useState(30);
  const now = useNow(300_000);
  const span = days === 1 ? "the last day" : `the last ${days} days`;
  const props = { api, project, notify, since: sinceOf(days, now), span };
  return (
    <div className="overview">
      <div className="chooser">
        <label>
          <span className="muted">Work of</span>
          <select data-testid="span" value={days} onChange={(event) => setDays(Number(event.target.value))}>
            {DAYS.map((one) => (
              <option key={one} value={one}>
                {one === 1 ? "the last day" : `the last ${one} days`}
              </option>
            ))}
          </select>
        </label>
      </div>
      <ThroughputCard {...props} />
      <CostCard {...props} />
      <div className="columns">
        <AmbiguousCard {...props} />
        <BiasCard {...props} />
      </div>
    </div>
  );
}
