import { type Api, at } from "../api/client";
import type { Exported, Formats, Imported } from "../api/types";
import { saved } from "../app/saving";
import { type Asked, queryOf } from "./datasets";

const LONGEST_MS = 3_600_000; // an archive may be large

export const formats = (api: Api) => api.json<Formats>("GET", "/v1/formats");

/** The archive goes as it is on the disk. The answer comes when all of it is in. */
export const importArchive = (api: Api, project: string, archive: Blob, asked: Asked) =>
  api.json<Imported>("POST", at(project, `/imports${queryOf(asked)}`), archive, { timeoutMs: LONGEST_MS });

export const previewExport = (api: Api, project: string, format: string) =>
  api.json<Exported>("GET", at(project, `/exports/${format}`), undefined, { timeoutMs: LONGEST_MS });

export async function downloadExport(api: Api, project: string, format: string, images: boolean): Promise<void> {
  const path = at(project, `/exports/${format}?images=${images}`);
  await saved(await api.send("POST", path, undefined, { timeoutMs: LONGEST_MS }), `${project}-${format}.zip`);
}
