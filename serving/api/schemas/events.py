"""The audit log."""

from datetime import datetime
from typing import Any

from pydantic import Field

from serving.api.schemas.wire import Out


class EventOut(Out):
    sequence: int
    kind: str
    actor: str
    body: dict[str, Any]
    at: datetime


class EventPage(Out):
    events: list[EventOut]
    next: int = Field(description="pass as `after` for what comes later")
