/** Where events are sent, what became of each, and sending it again. For operators. */
import "../app/cards.css";
import type { ViewProps } from "../app/view";
import { EndpointList } from "./EndpointList";
import { EndpointView } from "./EndpointView";

export default function WebhooksPage(props: ViewProps) {
  return (
    <div className="overview">
      {props.place === null ? (
        <EndpointList {...props} />
      ) : (
        <EndpointView key={props.place} {...props} id={props.place} />
      )}
    </div>
  );
}
