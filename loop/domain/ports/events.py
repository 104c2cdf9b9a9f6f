"""A project's history, and the webhooks that tell it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from loop.domain.outgoing.webhooks import Answer, Attempt, Backlog, Delivery, DeliveryState, Endpoint

INSTALLATION = ""  # in place of a project's id, of what concerns no single project


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a project's history. `kind` is dotted: prediction.routed, task.submitted, model.promoted..."""

    kind: str
    project_id: str
    actor: str
    body: Mapping[str, object]
    at: datetime
    sequence: int = 0


class Events(Protocol):
    def add(self, event: Event) -> None:
        """Kept in the history; and told, with this transaction, to the webhook endpoints that want its type
        (loop/domain/announcements.py)."""
        ...

    def announce(self, told: Iterable[Event]) -> None:
        """To webhook endpoints alone: another line of the history says it already."""
        ...

    def after(self, project_id: str, sequence: int, limit: int, *, kind: str | None = None) -> list[Event]:
        """At most `limit` with a higher number, in the order of the commits. kind: as of `newest`."""
        ...

    def since(self, project_id: str, kind: str, moment: datetime) -> list[Event]:
        """Of this kind, from this moment on, in the order of the commits."""
        ...

    def newest(self, project_id: str, kind: str | None, *, limit: int) -> list[Event]:
        """Of this kind, or of all that begin with it where it is one word ("model"); None: of all. The newest first."""
        ...


class Endpoints(Protocol):
    """Of webhooks. Deliveries of an endpoint are changed only by who has its row locked, or claims them."""

    def add(self, endpoint: Endpoint) -> None: ...
    def get(self, endpoint_id: str) -> Endpoint: ...
    def all(self) -> list[Endpoint]:
        """Oldest first."""
        ...

    def for_update(self, endpoint_id: str) -> Endpoint:
        """Locked until the transaction ends; events can still be kept for it. Raises NotFound."""
        ...

    def save(self, endpoint: Endpoint) -> None: ...
    def remove(self, endpoint_id: str) -> None:
        """With all its deliveries. Waits for transactions that keep an event for it."""
        ...


class Deliveries(Protocol):
    """The outbox of webhooks. `Events.add` fills it."""

    def get(self, endpoint_id: str, message_id: str) -> Delivery: ...
    def page(self, endpoint_id: str, *, state: DeliveryState | None, after: str | None, limit: int) -> list[Delivery]:
        """Newest first; `after` is a message id."""
        ...

    def attempts(self, endpoint_id: str, message_id: str) -> list[Attempt]:
        """Oldest first."""
        ...

    def backlogs(self) -> Mapping[str, Backlog]:
        """By endpoint; those without any are left out."""
        ...

    def due(self, now: datetime) -> list[str]:
        """Enabled endpoints for which something may be claimed."""
        ...

    def claim(self, endpoint_id: str, *, now: datetime, until: datetime, limit: int) -> list[Delivery]:
        """Those that are due, the longest due first, under their next epoch; nobody else gets them before `until`.
        Skips those that others are claiming."""
        ...

    def for_update(self, endpoint_id: str, message_ids: Sequence[str]) -> list[Delivery]:
        """Those of them that there are, locked until the transaction ends."""
        ...

    def save(self, deliveries: Sequence[Delivery]) -> None: ...
    def record(self, attempts: Sequence[Attempt]) -> None: ...
    def revive(self, endpoint_id: str, now: datetime) -> int:
        """Replay all that are dead; how many that was."""
        ...

    def hasten(self, now: datetime, longest_pause: timedelta, longest_claim: timedelta) -> None:
        """Due now is what nobody has tried yet, and what is due later than any pause lasts; a claim that would last
        longer than any has ended. Such moments are of a clock that was ahead."""
        ...

    def prune(self, endpoint_id: str, state: DeliveryState | None, before: datetime, limit: int) -> int:
        """Forget at most `limit` deliveries that were made before; how many that was."""
        ...


class Sender(Protocol):
    """How webhooks leave this machine."""

    async def send(self, endpoint: Endpoint, message_id: str, body: str) -> Answer:
        """Sign and post once. What goes wrong is the answer's error; nothing is raised."""
        ...
