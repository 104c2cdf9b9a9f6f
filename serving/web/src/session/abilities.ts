/** What a role may do here; the service checks again, the page only spares people buttons that would fail. */
import type { Role } from "../api/types";
import { TABS, type Tab } from "./route";

export interface Abilities {
  readonly tabs: readonly Tab[];
  readonly operate: boolean;
}

/** Reviewers see their work alone: other views tell audits or golden items from routed work, and these are blind. */
export function abilitiesOf(role: Role): Abilities {
  switch (role) {
    case "reviewer":
      return { tabs: ["review"], operate: false };
    case "producer":
      return { tabs: ["overview"], operate: false };
    case "operator":
      return { tabs: TABS, operate: true };
  }
}
