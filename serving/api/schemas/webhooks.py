"""Webhooks and their deliveries."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from loop.domain.outgoing.webhooks import DeliveryState
from serving.api.schemas.wire import In, Out

WebhookUrl = Annotated[str, Field(min_length=1, max_length=2000, description="https://…; what is posted to")]


WebhookTypes = Annotated[list[str], Field(max_length=100, description="of events; none of them: all")]


class WebhookIn(In):
    url: WebhookUrl
    project_id: str | None = Field(default=None, description="null: the events of all projects")
    types: WebhookTypes = Field(default=[])
    description: str = Field(default="", max_length=200)


class WebhookChangeIn(In):
    """What is left out stays as it is."""

    url: WebhookUrl | None = None
    types: WebhookTypes | None = None
    description: str | None = Field(default=None, max_length=200)
    enabled: bool | None = None


class WebhookOut(Out):
    id: str
    project_id: str | None
    url: str
    types: list[str] = Field(description="none of them: all")
    description: str
    enabled: bool
    why_disabled: str
    failing_since: datetime | None = Field(description="the first failure after the last success; null: none")
    pending: int = Field(description="deliveries that are to be sent")
    dead: int = Field(description="deliveries that were given up; they can be replayed")
    secrets_until: list[datetime] = Field(description="when each older secret, which signs beside the newest one, ends")
    created_by: str
    created_at: datetime


class NewWebhookOut(WebhookOut):
    secret: str = Field(description="shown once; verify signatures with it")


class WebhooksOut(Out):
    webhooks: list[WebhookOut]


class EventTypeOut(Out):
    name: str
    says: str = Field(description="when it is sent")
    example: dict[str, Any] = Field(description="its data")


class EventTypesOut(Out):
    version: int = Field(description="of the envelope")
    types: list[EventTypeOut]


class WebhookAnswerOut(Out):
    """What came of a post."""

    status: int | None = Field(description="of HTTP; null where no answer came")
    error: str = Field(description="empty: it arrived")
    milliseconds: float
    said: str = Field(description="the beginning of what the receiver answered")


class DeliveryOut(Out):
    message_id: str = Field(description="the receiver's webhook-id")
    type: str
    state: DeliveryState
    attempts: int
    error: str = Field(description="of the last attempt")
    created_at: datetime
    due_at: datetime = Field(description="when it is sent next, where it is pending")
    finished_at: datetime | None


class DeliveryPage(Out):
    deliveries: list[DeliveryOut]
    next: str | None = Field(description="pass as `after` for the next page")


class AttemptOut(Out):
    number: int
    at: datetime
    status: int | None
    error: str
    milliseconds: float


class DeliveryDetailOut(DeliveryOut):
    body: str = Field(description="as it is sent and signed")
    tried: list[AttemptOut]


class ReplayedOut(Out):
    replayed: int
