import { type Api, at } from "../api/client";
import type { Ambiguous, Bias, Cost, CostBy, Rates, RequeueBody, Requeued, Work, WorkBy } from "../api/types";

/** since: an ISO time. */
const asking = (project: string, what: string, query: Readonly<Record<string, string>>): string =>
  at(project, `/${what}?${new URLSearchParams(query).toString()}`);

export const work = (api: Api, project: string, since: string, by: WorkBy, tz: string) =>
  api.json<Work>("GET", asking(project, "work", { since, by, tz }));
export const ambiguous = (api: Api, project: string, since: string, above: number, limit: number) =>
  api.json<Ambiguous>("GET", asking(project, "items/ambiguous", { since, above: String(above), limit: String(limit) }));
export const requeue = (api: Api, project: string, body: RequeueBody) =>
  api.json<Requeued>("POST", at(project, "/items/ambiguous/requeue"), body);
export const bias = (api: Api, project: string, since: string) =>
  api.json<Bias>("GET", asking(project, "bias", { since }));
export const cost = (api: Api, project: string, since: string, by: CostBy) =>
  api.json<Cost>("GET", asking(project, "cost", { since, by }));
export const rates = (api: Api, project: string) => api.json<Rates>("GET", at(project, "/cost/rates"));
export const setRates = (api: Api, project: string, body: Rates) =>
  api.json<Rates>("PUT", at(project, "/cost/rates"), body);
