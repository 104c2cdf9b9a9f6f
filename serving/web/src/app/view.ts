import type { Api } from "../api/client";
import type { Me, Project } from "../api/types";
import type { Notice } from "../review/session";

/** What each view beside the review is given. */
export interface ViewProps {
  readonly api: Api;
  readonly me: Me;
  readonly project: Project;
  readonly notify: (notice: Notice) => void;
  /** What of the view the address names; null: the whole. */
  readonly place: string | null;
  readonly onPlace: (place: string | null) => void;
}
