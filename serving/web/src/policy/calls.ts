import { type Api, at } from "../api/client";
import type { Policy, Triggers, TriggersBody } from "../api/types";
import type { Plain } from "./policy";

/** What the changes leave out stays. */
export const change = (api: Api, project: string, changes: Plain) =>
  api.json<Policy>("PATCH", at(project, "/policy"), changes);

export const triggers = (api: Api, project: string) => api.json<Triggers>("GET", at(project, "/triggers"));

/** What is not named stays; null takes a trigger away. */
export const changeTriggers = (api: Api, project: string, changes: TriggersBody) =>
  api.json<Triggers>("PATCH", at(project, "/triggers"), changes);
