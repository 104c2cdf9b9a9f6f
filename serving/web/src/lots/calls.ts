import { type Api, at } from "../api/client";
import type { Curve, LotDetail, LotPage, LotRules } from "../api/types";

export const lotsAfter = (api: Api, project: string, after: string | null) =>
  api.json<LotPage>("GET", at(project, `/lots?limit=50${after === null ? "" : `&after=${encodeURIComponent(after)}`}`));

export const lot = (api: Api, project: string, id: string) =>
  api.json<LotDetail>("GET", at(project, `/lots/${encodeURIComponent(id)}`));

/** version: of the lot that was looked at, so that nobody decides over somebody else's decision. */
export const decide = (
  api: Api,
  project: string,
  { id, version }: { id: string; version: number },
  how: "accept" | "reopen",
  reason: string,
) => api.json<LotDetail>("POST", at(project, `/lots/${encodeURIComponent(id)}/${how}`), { reason, version });

/** What the plan does with lots of that many items. */
export const curve = (api: Api, project: string, rules: LotRules, size: number) => {
  const { plan, share, threshold, aql, ltpd, alpha, beta } = rules;
  const asked = Object.entries({ size, plan, share, threshold, aql, ltpd, alpha, beta });
  return api.json<Curve>(
    "GET",
    at(project, `/lots/curve?${asked.map(([name, value]) => `${name}=${value}`).join("&")}`),
  );
};
