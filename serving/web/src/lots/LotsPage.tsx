/** Lots of answers: what their samples say, and deciding over them. For operators. */
import "../app/cards.css";
import type { ViewProps } from "../app/view";
import { LotList } from "./LotList";
import { LotView } from "./LotView";
import "./lots.css";

export default function LotsPage(props: ViewProps) {
  return (
    <div className="overview">
      {props.place === null ? <LotList {...props} /> : <LotView key={props.place} {...props} id={props.place} />}
    </div>
  );
}
