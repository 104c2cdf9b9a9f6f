import { useState } from "react";
import type { Api } from "../api/client";
import { type Described, describe } from "../api/problem";
import type { Delivery, Webhook } from "../api/types";
import { usePolling } from "../app/hooks";
import { isTroubled, newestFirst, tellingOf } from "../webhooks/endpoints";

export interface Watched {
  readonly endpoint: Webhook;
  /** Deliveries that failed, the newest first, as many as the card shows. */
  readonly troubled: readonly Delivery[];
}

export interface WebhooksState {
  readonly endpoints: readonly Watched[] | null;
  readonly problem: Described | null;
}

const REFRESH_MS = 5_000;

/** The endpoints that are told of this project, each with what failed there. */
export function useWebhooks(api: Api, project: string): { webhooks: WebhooksState; refresh: () => Promise<void> } {
  const [webhooks, setWebhooks] = useState<WebhooksState>({ endpoints: null, problem: null });
  const refresh = async () => {
    try {
      const telling = tellingOf((await api.webhooks()).webhooks, project);
      const endpoints = await Promise.all(telling.map((endpoint) => watched(api, endpoint)));
      setWebhooks({ endpoints, problem: null });
    } catch (error) {
      setWebhooks((old) => ({ ...old, problem: describe(error) }));
    }
  };
  usePolling(refresh, REFRESH_MS);
  return { webhooks, refresh };
}

/** Deliveries are asked for only where there are some that have not arrived. */
async function watched(api: Api, endpoint: Webhook): Promise<Watched> {
  const [pending, dead] = await Promise.all([
    endpoint.pending > 0 ? api.deliveries(endpoint.id, "pending") : null,
    endpoint.dead > 0 ? api.deliveries(endpoint.id, "dead") : null,
  ]);
  const all = [...(pending?.deliveries ?? []), ...(dead?.deliveries ?? [])];
  return { endpoint, troubled: newestFirst(all.filter(isTroubled)) };
}
