import { type Api, at } from "../api/client";
import type { SearchIndex, Selection, SelectionPage, Strategies } from "../api/types";

export const strategies = (api: Api) => api.json<Strategies>("GET", "/v1/strategies");

export const selectionsAfter = (api: Api, project: string, after: string | null) =>
  api.json<SelectionPage>("GET", at(project, `/selections${after === null ? "" : `?after=${encodeURIComponent(after)}`}`));

export const selection = (api: Api, project: string, id: string) =>
  api.json<Selection>("GET", at(project, `/selections/${encodeURIComponent(id)}`));

export const searchIndex = (api: Api, project: string) => api.json<SearchIndex>("GET", at(project, "/index"));

/** As the next search would; it goes on behind the answer. */
export const readIndex = (api: Api, project: string) => api.json<SearchIndex>("POST", at(project, "/index"));
