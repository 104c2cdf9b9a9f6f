/** Which tokens concern a project, and who may end them. */
import type { Me, Token } from "../api/types";

/** Those that are valid for a project, its own first, then those for all projects; each oldest first. */
export const validFor = (tokens: readonly Token[], project: string): Token[] => {
  const valid = tokens.filter(({ revoked_at }) => revoked_at === null);
  return [...valid.filter((one) => one.project_id === project), ...valid.filter((one) => one.project_id === null)];
};

/** Why this token is not to be ended here; null where it may be. */
export function keptFrom(me: Me, token: Token): string | null {
  if (token.id === me.id) return "You are signed in with it.";
  if (token.project_id === null && me.project_id !== null) return "It is for all projects, and yours for this one.";
  return null;
}
