import { type Api, at } from "../api/client";
import type { Group, GroupPage, GroupTasks, ImportedClip, NewGroup } from "../api/types";
import { type Chosen, asQuery } from "./clips";

const UPLOAD_TIMEOUT_MS = 6 * 3_600_000; // the answer comes when all frames are there

/** The newest first. */
export const groupsAfter = (api: Api, project: string, after: string | null) =>
  api.json<GroupPage>("GET", at(project, `/groups${after === null ? "" : `?${new URLSearchParams({ after })}`}`));

export const makeGroup = (api: Api, project: string, group: NewGroup) =>
  api.json<Group>("POST", at(project, "/groups"), group);

export const upload = (api: Api, project: string, video: Blob, chosen: Chosen) =>
  api.json<ImportedClip>("POST", at(project, `/clips?${asQuery(chosen)}`), video, { timeoutMs: UPLOAD_TIMEOUT_MS });

/** window: frames of a task; null: one task over all. */
export const makeTasks = (api: Api, project: string, group: string, window: number | null) =>
  api.json<GroupTasks>("POST", at(project, `/groups/${encodeURIComponent(group)}/tasks`), { window });
