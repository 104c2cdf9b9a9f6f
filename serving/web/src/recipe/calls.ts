import { type Api, at } from "../api/client";
import type { RecipeOutcome, RecipeVersions } from "../api/types";

const TIMEOUT_MS = 300_000; // a change may write all ground truth anew

/** The newest first. */
export const versions = (api: Api, project: string) => api.json<RecipeVersions>("GET", at(project, "/recipe/versions"));

/** document: JSON or YAML. What it would change. */
export const check = (api: Api, project: string, document: string) =>
  api.json<RecipeOutcome>("POST", at(project, "/recipe?dry_run=true"), document, { timeoutMs: TIMEOUT_MS });

/** The document as the next version. */
export const save = (api: Api, project: string, document: string) =>
  api.json<RecipeOutcome>("POST", at(project, "/recipe"), document, { timeoutMs: TIMEOUT_MS });
