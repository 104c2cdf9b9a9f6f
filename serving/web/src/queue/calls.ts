import { type Api, at } from "../api/client";
import type { ListedTask, TaskPage } from "../api/types";

const PAGE = 100;

export const tasksAfter = (
  api: Api,
  project: string,
  asked: Readonly<Record<string, string>>,
  after: string | null,
) => {
  const query = new URLSearchParams({ ...asked, limit: String(PAGE), ...(after === null ? {} : { after }) });
  return api.json<TaskPage>("GET", at(project, `/tasks?${query.toString()}`));
};

/** epoch: of the lease that was looked at, so that nobody who got the task since loses it. */
export const takeBack = (api: Api, { id, epoch }: Pick<ListedTask, "id" | "epoch">) =>
  api.json<ListedTask>("POST", `/v1/tasks/${encodeURIComponent(id)}/take-back`, { epoch });
