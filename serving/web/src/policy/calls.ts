import { type Api, at } from "../api/client";
import type { Policy } from "../api/types";
import type { Plain } from "./policy";

/** What the changes leave out stays. */
export const change = (api: Api, project: string, changes: Plain) =>
  api.json<Policy>("PATCH", at(project, "/policy"), changes);
