"""Webhooks: where events are sent, what became of each, and sending it again. For operators; those of one project see
and change that project's endpoints alone."""

from typing import Annotated

from fastapi import APIRouter, Query

from loop.domain.announcements import EVENT_TYPES, VERSION
from loop.domain.errors import Invalid
from loop.domain.outgoing.webhooks import Backlog, DeliveryState, Endpoint
from serving.api.auth import SomeOperator, Wired
from serving.api.schemas.webhooks import (
    AttemptOut,
    DeliveryDetailOut,
    DeliveryOut,
    DeliveryPage,
    EventTypeOut,
    EventTypesOut,
    NewWebhookOut,
    ReplayedOut,
    WebhookAnswerOut,
    WebhookChangeIn,
    WebhookIn,
    WebhookOut,
    WebhooksOut,
)

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])


@router.get("")
def list_webhooks(token: SomeOperator, wired: Wired) -> WebhooksOut:
    """Oldest first."""
    return WebhooksOut(webhooks=[_out(*one) for one in wired.webhooks.all(token)])


@router.post("", status_code=201)
def create_webhook(body: WebhookIn, token: SomeOperator, wired: Wired) -> NewWebhookOut:
    """A new endpoint, its secret shown once. It gets what happens from now on."""
    endpoint, secret = wired.webhooks.create(
        token, body.url, project_id=body.project_id, types=body.types, description=body.description
    )
    return _with_secret(_out(endpoint, Backlog()), secret)


@router.get("/event-types")
def list_event_types(token: SomeOperator) -> EventTypesOut:
    """What an endpoint can be told of."""
    return EventTypesOut(version=VERSION, types=[EventTypeOut.model_validate(one) for one in EVENT_TYPES.values()])


@router.get("/{endpoint_id}")
def get_webhook(endpoint_id: str, token: SomeOperator, wired: Wired) -> WebhookOut:
    return _out(*wired.webhooks.get(token, endpoint_id))


@router.patch("/{endpoint_id}")
def change_webhook(endpoint_id: str, body: WebhookChangeIn, token: SomeOperator, wired: Wired) -> WebhookOut:
    """What is left out stays as it is. Enabling it sends what had to wait."""
    if not body.model_dump(exclude_none=True):
        raise Invalid("nothing to change.", hint=f"Name at least one of {', '.join(WebhookChangeIn.model_fields)}.")
    wired.webhooks.change(
        token,
        endpoint_id,
        url=body.url,
        types=body.types,
        description=body.description,
        enable=body.enabled,
    )
    return _out(*wired.webhooks.get(token, endpoint_id))


@router.delete("/{endpoint_id}", status_code=204)
def remove_webhook(endpoint_id: str, token: SomeOperator, wired: Wired) -> None:
    """With all that is still to be sent to it, and with what is known of what was."""
    wired.webhooks.remove(token, endpoint_id)


@router.post("/{endpoint_id}/rotate")
def rotate_webhook(endpoint_id: str, token: SomeOperator, wired: Wired) -> NewWebhookOut:
    """A new secret, shown once. For a day the old one signs too, so that a receiver can change over."""
    _, secret = wired.webhooks.rotate(token, endpoint_id)
    return _with_secret(_out(*wired.webhooks.get(token, endpoint_id)), secret)


@router.post("/{endpoint_id}/test")
async def test_webhook(endpoint_id: str, token: SomeOperator, wired: Wired) -> WebhookAnswerOut:
    """Send a ping now, and tell what came back."""
    return WebhookAnswerOut.model_validate(await wired.webhooks.test(token, endpoint_id))


@router.get("/{endpoint_id}/deliveries")
def list_deliveries(
    endpoint_id: str,
    token: SomeOperator,
    wired: Wired,
    state: DeliveryState | None = None,
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> DeliveryPage:
    """Newest first. Those that were given up: `state=dead`."""
    page = wired.webhooks.deliveries(token, endpoint_id, state=state, after=after, limit=limit)
    return DeliveryPage(
        deliveries=[DeliveryOut.model_validate(one) for one in page],
        next=page[-1].message_id if len(page) == limit else None,
    )


@router.get("/{endpoint_id}/deliveries/{message_id}")
def get_delivery(endpoint_id: str, message_id: str, token: SomeOperator, wired: Wired) -> DeliveryDetailOut:
    """With its body, and what came of each attempt."""
    delivery, attempts = wired.webhooks.delivery(token, endpoint_id, message_id)
    summary = DeliveryOut.model_validate(delivery).model_dump()
    return DeliveryDetailOut(**summary, body=delivery.body, tried=[AttemptOut.model_validate(one) for one in attempts])


@router.post("/{endpoint_id}/deliveries/{message_id}/replay")
def replay_delivery(endpoint_id: str, message_id: str, token: SomeOperator, wired: Wired) -> DeliveryOut:
    """Send it again now, under the same id, whatever became of it."""
    return DeliveryOut.model_validate(wired.webhooks.replay(token, endpoint_id, message_id))


@router.post("/{endpoint_id}/replay")
def replay_dead(endpoint_id: str, token: SomeOperator, wired: Wired) -> ReplayedOut:
    """Send all again that were given up."""
    return ReplayedOut(replayed=wired.webhooks.replay_dead(token, endpoint_id))


def _out(endpoint: Endpoint, backlog: Backlog) -> WebhookOut:
    """Without its secrets."""
    return WebhookOut(
        id=endpoint.id,
        project_id=endpoint.project_id,
        url=endpoint.url,
        types=list(endpoint.types),
        description=endpoint.description,
        enabled=endpoint.enabled,
        why_disabled=endpoint.why_disabled,
        failing_since=endpoint.failing_since,
        pending=backlog.pending,
        dead=backlog.dead,
        secrets_until=[secret.until for secret in endpoint.secrets if secret.until is not None],
        created_by=endpoint.created_by,
        created_at=endpoint.created_at,
    )


def _with_secret(known: WebhookOut, secret: str) -> NewWebhookOut:
    return NewWebhookOut(**known.model_dump(), secret=secret)
