/** What is promised of predictions that pass without a person, and how good production is. For operators. */
import { useState } from "react";
import { SpanChooser } from "../app/SpanChooser";
import "../app/cards.css";
import { useNow } from "../app/hooks";
import { sinceOf } from "../app/span";
import type { ViewProps } from "../app/view";
import { ProductionCards } from "./ProductionCards";
import { PromiseCards } from "./PromiseCards";
import { RiskCard } from "./RiskCard";
import { SeriesCard } from "./SeriesCard";
import "./quality.css";

export default function QualityPage({ api, project, notify }: ViewProps) {
  const [days, setDays] = useState(30);
  const now = useNow(300_000);
  return (
    <div className="overview">
      <PromiseCards api={api} project={project} notify={notify} />
      <SpanChooser name="Quality of production in" days={days} onDays={setDays} />
      <ProductionCards api={api} project={project.id} since={sinceOf(days, now)} />
      <SeriesCard api={api} project={project.id} />
      <RiskCard api={api} project={project.id} />
    </div>
  );
}
