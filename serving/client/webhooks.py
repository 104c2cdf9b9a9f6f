"""Webhooks: endpoints and their deliveries."""

from collections.abc import Sequence

from serving.api.schemas.webhooks import (
    DeliveryDetailOut,
    DeliveryOut,
    DeliveryPage,
    EventTypesOut,
    NewWebhookOut,
    ReplayedOut,
    WebhookAnswerOut,
    WebhookOut,
    WebhooksOut,
)
from serving.client.calls import Call, delete, get, method, path, post


class WebhookCalls:
    @method
    def webhooks(self) -> Call[list[WebhookOut]]:
        """Oldest first."""
        return get(WebhooksOut, path("webhooks")).giving(lambda told: told.webhooks)

    @method
    def create_webhook(
        self, url: str, *, project: str | None = None, types: Sequence[str] = (), description: str = ""
    ) -> Call[NewWebhookOut]:
        """types: of events, none for all. The secret is in this answer only."""
        body = {"url": url, "project_id": project, "types": list(types), "description": description}
        return post(NewWebhookOut, path("webhooks"), body)

    @method
    def change_webhook(self, /, endpoint_id: str, **changes: object) -> Call[WebhookOut]:
        """changes: fields of `WebhookChangeIn`."""
        return post(WebhookOut, path("webhooks", endpoint_id), changes, method="PATCH")

    @method
    def remove_webhook(self, endpoint_id: str) -> Call[None]:
        return delete(path("webhooks", endpoint_id))

    @method
    def rotate_webhook(self, endpoint_id: str) -> Call[NewWebhookOut]:
        return post(NewWebhookOut, path("webhooks", endpoint_id, "rotate"))

    @method
    def test_webhook(self, endpoint_id: str) -> Call[WebhookAnswerOut]:
        return post(WebhookAnswerOut, path("webhooks", endpoint_id, "test"))

    @method
    def event_types(self) -> Call[EventTypesOut]:
        return get(EventTypesOut, path("webhooks", "event-types"))

    @method
    def deliveries(
        self, endpoint_id: str, *, state: str | None = None, after: str | None = None, limit: int = 50
    ) -> Call[DeliveryPage]:
        """Newest first."""
        return get(DeliveryPage, path("webhooks", endpoint_id, "deliveries"), state=state, after=after, limit=limit)

    @method
    def delivery(self, endpoint_id: str, message_id: str) -> Call[DeliveryDetailOut]:
        return get(DeliveryDetailOut, path("webhooks", endpoint_id, "deliveries", message_id))

    @method
    def replay(self, endpoint_id: str, message_id: str) -> Call[DeliveryOut]:
        return post(DeliveryOut, path("webhooks", endpoint_id, "deliveries", message_id, "replay"))

    @method
    def replay_dead(self, endpoint_id: str) -> Call[int]:
        """How many those were."""
        return post(ReplayedOut, path("webhooks", endpoint_id, "replay")).giving(lambda told: told.replayed)
