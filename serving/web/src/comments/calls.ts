import { type Api, at } from "../api/client";
import type { CommentKind, CommentPage } from "../api/types";

/** The newest first. kind: all where it is null. */
export function commentsAfter(
  api: Api,
  project: string,
  only: { state: "open" | "resolved"; kind: CommentKind | null },
  after: string | null,
) {
  const { state, kind } = only;
  const query = new URLSearchParams({ state, limit: "50", ...(kind && { kind }), ...(after && { after }) });
  return api.json<CommentPage>("GET", at(project, `/comments?${query.toString()}`));
}
