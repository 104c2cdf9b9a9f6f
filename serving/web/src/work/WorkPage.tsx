/** What the work of people takes, which items are hard to tell, whether predictions lead people, what it costs. For
 *  operators. */
import { useState } from "react";
import { SpanChooser } from "../app/SpanChooser";
import "../app/cards.css";
import { useNow } from "../app/hooks";
import { sinceOf, spanInWords } from "../app/span";
import type { ViewProps } from "../app/view";
import { AmbiguousCard } from "./AmbiguousCard";
import { BiasCard } from "./BiasCard";
import { CostCard } from "./CostCard";
import { ThroughputCard } from "./ThroughputCard";

export interface SpanProps extends Pick<ViewProps, "api" | "project" | "notify"> {
  /** An ISO time; until now. */
  readonly since: string;
  /** In words of the days. */
  readonly span: string;
}

export default function WorkPage({ api, project, notify }: ViewProps) {
  const [days, setDays] = useState(30);
  const now = useNow(300_000);
  const span = spanInWords(days);
  const props = { api, project, notify, since: sinceOf(days, now), span };
  return (
    <div className="overview">
      <SpanChooser name="Work of" days={days} onDays={setDays} />
      <ThroughputCard {...props} />
      <CostCard {...props} />
      <div className="columns">
        <AmbiguousCard {...props} />
        <BiasCard {...props} />
      </div>
    </div>
  );
}
