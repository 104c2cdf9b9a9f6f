import { type Api, at } from "../api/client";
import type { FunctionCall, FunctionHistory } from "../api/types";

/** The newest first. */
export const runs = (api: Api, project: string, limit: number) =>
  api.json<FunctionHistory>("GET", at(project, `/functions/runs?limit=${limit}`));

export const called = (api: Api, project: string, call: string) =>
  api.json<FunctionCall>("GET", at(project, `/functions/calls/${encodeURIComponent(call)}`));
