/** The state of an endpoint and its deliveries, in words. */
import type { Delivery, Webhook } from "../api/types";
import { count } from "../app/format";

export type Endpoint = Pick<Webhook, "enabled" | "why_disabled" | "failing_since" | "pending" | "dead" | "project_id">;

export function stateOf(endpoint: Endpoint): { tone: "good" | "warn" | "bad"; words: string } {
  if (!endpoint.enabled) return { tone: "warn", words: "paused" };
  if (endpoint.failing_since !== null) return { tone: "bad", words: "failing" };
  return { tone: "good", words: "enabled" };
}

/** "2 wait · 3 dead" */
export function backlogOf({ pending, dead }: Endpoint): string {
  const waits = pending === 0 ? "nothing waits" : pending === 1 ? "1 waits" : `${count(pending)} wait`;
  return dead === 0 ? waits : `${waits} · ${count(dead)} dead`;
}

/** Endpoints that are told of the project: its own, and those of all projects. */
export const tellingOf = <T extends Endpoint>(endpoints: readonly T[], project: string): T[] =>
  endpoints.filter((one) => one.project_id === null || one.project_id === project);

/** What has gone wrong with it: deliveries that failed and wait for their next try, and those that were given up. */
export const isTroubled = (delivery: Pick<Delivery, "error" | "state">): boolean =>
  delivery.state !== "delivered" && delivery.error !== "";

/** The newest first. */
export const newestFirst = (deliveries: readonly Delivery[]): Delivery[] =>
  [...deliveries].sort((a, b) => b.created_at.localeCompare(a.created_at));
