import type { LinkType } from "../api/types";
import type { Edit } from "./editor";
import { demandOf, hasRoom, targetsOf, typesFrom } from "./links";
import type { Shape } from "./shapes";

interface Props {
  readonly shape: Shape;
  readonly shapes: readonly Shape[];
  readonly types: readonly LinkType[];
  /** The type that is being linked, or null. */
  readonly linking: string | null;
  readonly onLink: (type: string) => void;
  readonly onEdit: (edit: Edit) => void;
}

/** Links that lead from the selected shape and to it, and what may be linked still. */
export function LinksPanel({ shape, shapes, types, linking, onLink, onEdit }: Props) {
  const arriving = shapes.flatMap((source) =>
    source.links.filter((link) => link.to === shape.id).map((link) => ({ source, link })),
  );
  const named = (id: string): string => {
    const index = shapes.findIndex((other) => other.id === id);
    return index < 0 ? "a shape that is gone" : `${index + 1} ${shapes[index]?.label ?? ""}`;
  };
  return (
    <div className="links" data-testid="links">
      <ul aria-label="Links">
        {shape.links.map((link) => (
          <li key={`${link.type} ${link.to}`} className="row">
            <span className="grow">
              {link.type} → {named(link.to)}
            </span>
            <button
              className="icon"
              aria-label={`Remove the link ${link.type} to ${named(link.to)}`}
              onClick={() => onEdit({ type: "unlink", id: shape.id, link })}
            >
              ✕
            </button>
          </li>
        ))}
        {arriving.map(({ source, link }) => (
          <li key={`${source.id} ${link.type}`} className="row">
            <span className="grow">
              {named(source.id)} → {link.type}
            </span>
            <button
              className="icon"
              aria-label={`Remove the link ${link.type} from ${named(source.id)}`}
              onClick={() => onEdit({ type: "unlink", id: source.id, link })}
            >
              ✕
            </button>
          </li>
        ))}
      </ul>
      {typesFrom(types, shape).map((type) => {
        const { made, least } = demandOf(type, shape);
        const possible = hasRoom(type, shape) && targetsOf(type, shape, shapes).length > 0;
        return (
          <button
            key={type.name}
            className={linking === type.name ? "label current" : "label"}
            data-testid={`link-${type.name}`}
            disabled={!possible}
            aria-pressed={linking === type.name}
            title={possible ? `Choose ${type.to.join(" or ")}` : "Nothing here that it could lead to"}
            onMouseDown={(event) => event.preventDefault()}
            onClick={() => onLink(type.name)}
          >
            <span className="text">
              Link: {type.name} → {type.to.join(", ")}
            </span>
            {made < least && <span className="badge warn">needs {least - made}</span>}
            <kbd>L</kbd>
          </button>
        );
      })}
    </div>
  );
}
