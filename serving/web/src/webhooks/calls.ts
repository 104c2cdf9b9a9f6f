import { type Api, hook } from "../api/client";
import type {
  Delivery,
  DeliveryDetail,
  DeliveryPage,
  EventTypes,
  NewWebhook,
  WebhookAnswer,
  WebhookBody,
} from "../api/types";

const message = (endpoint: string, id: string): string => `${hook(endpoint)}/deliveries/${encodeURIComponent(id)}`;

export const create = (api: Api, body: WebhookBody) => api.json<NewWebhook>("POST", "/v1/webhooks", body);
export const remove = (api: Api, endpoint: string) => api.send("DELETE", hook(endpoint));
export const rotate = (api: Api, endpoint: string) => api.json<NewWebhook>("POST", `${hook(endpoint)}/rotate`);
export const ping = (api: Api, endpoint: string) => api.json<WebhookAnswer>("POST", `${hook(endpoint)}/test`);
export const eventTypes = (api: Api) => api.json<EventTypes>("GET", "/v1/webhooks/event-types");

/** state: all where it is null. */
export function deliveriesAfter(api: Api, endpoint: string, state: Delivery["state"] | null, after: string | null) {
  const query = new URLSearchParams({ limit: "50", ...(state && { state }), ...(after && { after }) });
  return api.json<DeliveryPage>("GET", `${hook(endpoint)}/deliveries?${query.toString()}`);
}
export const delivery = (api: Api, endpoint: string, id: string) =>
  api.json<DeliveryDetail>("GET", message(endpoint, id));
export const replay = (api: Api, endpoint: string, id: string) =>
  api.json<Delivery>("POST", `${message(endpoint, id)}/replay`);
