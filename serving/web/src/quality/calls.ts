import { type Api, at } from "../api/client";
import type {
  Guarantee,
  GuaranteeCurve,
  GuaranteePreview,
  Production,
  ProductionSeries,
  Promised,
  Thresholds,
  ThresholdsPage,
} from "../api/types";
import { type Asked, changedSince } from "./promising";

export type ProductionBy = NonNullable<Production["by"]>;

const GUARANTEE = "/guarantee";
const TIMEOUT_MS = 120_000; // reports are made one after the other

export const guarantee = (api: Api, project: string) => api.json<Guarantee>("GET", at(project, GUARANTEE));

/** promise: its place, from 1. */
export const guaranteeCurve = (api: Api, project: string, promise: number, group: string | null) => {
  const asked = new URLSearchParams({ promise: String(promise), ...(group === null ? {} : { group }) });
  return api.json<GuaranteeCurve>("GET", at(project, `${GUARANTEE}/curve?${asked.toString()}`));
};

export const thresholds = (api: Api, project: string, before: string | null) =>
  api.json<ThresholdsPage>(
    "GET",
    at(project, `${GUARANTEE}/thresholds?limit=10${before === null ? "" : `&before=${before}`}`),
  );

export const acceptAlarm = (api: Api, project: string, reason: string) =>
  api.json<Thresholds>("POST", at(project, `${GUARANTEE}/accept`), { reason });

export const previewGuarantee = (api: Api, project: string, asked: Asked) =>
  api.json<GuaranteePreview>("POST", at(project, `${GUARANTEE}/preview`), asked, { timeoutMs: TIMEOUT_MS });

/** In place of the promises that were `seen`; refused where somebody changed them meanwhile. */
export async function changePromises(
  api: Api,
  project: string,
  seen: readonly Promised[],
  asked: Asked,
): Promise<void> {
  if (changedSince(seen, await api.project(project))) {
    throw new Error("Somebody changed the promises meanwhile. Go back and look at them first.");
  }
  await api.send("PATCH", at(project, "/policy"), asked);
}

/** since: an ISO time. */
export const production = (api: Api, project: string, since: string, by: ProductionBy) =>
  api.json<Production>("GET", at(project, `/quality?${new URLSearchParams({ since, by }).toString()}`), undefined, {
    timeoutMs: TIMEOUT_MS,
  });

/** From the beginning of the version, since its bounds hold together. */
export const productionSeries = (api: Api, project: string) =>
  api.json<ProductionSeries>("GET", at(project, "/quality/series"), undefined, { timeoutMs: TIMEOUT_MS });
