"""Webhooks: endpoints, their secrets, and a delivery's way from the outbox to its receiver.

    pending ──2xx──► delivered ─┐
     ▲ │ └─fails─► pending, due later
     │ └─the last try fails, or 410──► dead
     └────────────── replay ──────────┴─┘

Whoever sends a delivery has claimed it: for a while nobody else does, and each claim and each replay raises its epoch.
What came of an attempt counts only under the epoch that it was claimed with. A sender that dies after the receiver has
answered leaves the claim to run out, and the same message is sent again: at least once, never lost.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from loop.domain.announcements import EVENT_TYPES
from loop.domain.errors import Conflict, Invalid
from loop.domain.outgoing.addresses import is_inside, web_address

SECRET_BYTES = 32  # Standard Webhooks asks for 24 to 64
_OLD_SECRET_VALID = timedelta(hours=24)
_MOST_SECRETS = 5
_LONGEST_URL = 2_000
GONE = 410


class DeliveryState(StrEnum):
    PENDING = "pending"  # to be sent when it is due
    DELIVERED = "delivered"  # the receiver answered 2xx
    DEAD = "dead"  # given up; a person may replay it


@dataclass(frozen=True, slots=True)
class Secret:
    """value: `whsec_` and base64. until: when it stops to sign; None for the newest one, which has no end."""

    value: str = field(repr=False)
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where events go. project_id: None for all projects. types: none of them means all, also those to come.

    secrets: the newest first. enabled: False, and why, while nothing is sent to it and nothing new is kept for it.
    failing_since: the first failure after the last success; None while it answers.
    """

    id: str
    project_id: str | None
    url: str
    types: tuple[str, ...]
    description: str
    secrets: tuple[Secret, ...]
    created_by: str
    created_at: datetime
    enabled: bool = True
    why_disabled: str = ""
    failing_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message on its way to one endpoint. message_id: the receiver's `webhook-id`, the same for every attempt and
    for every endpoint that the event goes to; sorts by time.

    attempts: so far. failures: those of this round, which a replay begins anew. epoch: counts claims and replays.
    """

    endpoint_id: str
    message_id: str
    type: str
    body: str
    created_at: datetime
    due_at: datetime
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    failures: int = 0
    epoch: int = 0
    claimed_until: datetime | None = None
    finished_at: datetime | None = None
    error: str = ""  # of the last attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What came of one post. status: of HTTP, None where no answer came; error: "" where it was 2xx."""

    endpoint_id: str
    message_id: str
    number: int
    at: datetime
    status: int | None
    error: str
    milliseconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """As `Attempt`. said: the beginning of what the receiver answered. retry_after_s: what it asked for, if it did."""

    status: int | None
    error: str
    milliseconds: float
    said: str = ""
    retry_after_s: float | None = None

    @property
    def ok(self) -> bool:
        return self.error == ""


# --- endpoints -----------------------------------------------------------------------------------


def wants(endpoint: Endpoint, type_: str, project_id: str) -> bool:
    """Whether events of this type in this project go to it. project_id: "" for the whole installation."""
    theirs = endpoint.project_id is None or endpoint.project_id == project_id
    return endpoint.enabled and theirs and (not endpoint.types or type_ in endpoint.types)


def checked_types(types: Sequence[str]) -> tuple[str, ...]:
    """Each once, in their order. Raises Invalid for one that is never sent."""
    for name in types:
        if name not in EVENT_TYPES:
            raise Invalid(
                f"there are no events of the type {name!r}.", hint=f"Known types: {', '.join(EVENT_TYPES)}.", type=name
            )
    return tuple(dict.fromkeys(types))


def checked_url(url: str, *, allow_private: bool) -> str:
    """Raises Invalid for what can never be posted to. What a host name leads to is looked up with every post."""
    hint = "Give an address like https://example.org/hooks/askance."
    try:
        parts, host = web_address(url)
    except ValueError as error:
        raise Invalid(f"the URL {error}.", hint=hint) from error
    if len(url) > _LONGEST_URL:
        raise Invalid(f"the URL is longer than {_LONGEST_URL} characters.", hint=hint)
    if parts.username is not None or parts.fragment:
        raise Invalid(
            "the URL holds a user, a password or a fragment.",
            hint="Leave them out: receivers know the sender by the signature.",
        )
    if parts.scheme == "http" and not allow_private:
        raise Invalid(
            "the URL is not https, so anybody on the way could read the events.",
            hint="Use https; for a receiver on your own machine set webhooks.allow_private to true.",
        )
    if not allow_private and is_inside(host):
        raise private_refused(host)
    return url


def private_refused(host: str) -> Invalid:
    return Invalid(
        f"{host} lies inside this machine or a private network, where webhooks may not go.",
        hint="Use a public address, or set webhooks.allow_private to true where all operators may reach that network.",
    )


def secret_from(entropy: bytes) -> Secret:
    """entropy: SECRET_BYTES random bytes."""
    return Secret("whsec_" + base64.b64encode(entropy).decode())


def valid_secrets(endpoint: Endpoint, now: datetime) -> list[Secret]:
    """Those that sign, the newest first."""
    return [secret for secret in endpoint.secrets if secret.until is None or now < secret.until]


def rotated(endpoint: Endpoint, secret: Secret, now: datetime) -> Endpoint:
    """`secret` signs from now on, and for a day those that signed until now do too. Raises Conflict where that would
    be too many."""
    old = [replace(known, until=known.until or now + _OLD_SECRET_VALID) for known in valid_secrets(endpoint, now)]
    if len(old) >= _MOST_SECRETS:
        raise Conflict(
            f"{len(old)} secrets of this endpoint are valid still.",
            hint="An old one is valid for a day: rotate again tomorrow, or make a new endpoint.",
            endpoint=endpoint.id,
        )
    return replace(endpoint, secrets=(secret, *old))


def disabled(endpoint: Endpoint, why: str) -> Endpoint:
    return replace(endpoint, enabled=False, why_disabled=why)


def enabled(endpoint: Endpoint) -> Endpoint:
    return replace(endpoint, enabled=True, why_disabled="", failing_since=None)


def after_answers(
    endpoint: Endpoint, settled: Sequence[tuple[Delivery, Answer]], now: datetime, disable_after: timedelta
) -> Endpoint:
    """The endpoint once these deliveries were tried, in this order.

    It is disabled where it says that it is gone, and where a delivery was given up after nothing at all arrived for
    `disable_after`: never before a message has had all its tries.
    """
    for delivery, answer in settled:
        if answer.ok:
            endpoint = replace(endpoint, failing_since=None)
            continue
        since = min(endpoint.failing_since or now, now)  # a clock that was ahead may have stamped it
        endpoint = replace(endpoint, failing_since=since)
        if answer.status == GONE:
            return disabled(endpoint, "It answered 410 Gone.")
        if delivery.state is DeliveryState.DEAD and now - since >= disable_after:
            return disabled(endpoint, f"Nothing arrived since {since:%Y-%m-%d %H:%M} UTC: {answer.error}")
    return endpoint


# --- deliveries ----------------------------------------------------------------------------------


def settled(delivery: Delivery, answer: Answer, now: datetime, pauses: Sequence[float], jitter: float) -> Delivery:
    """The delivery after an attempt.

    pauses: seconds before each retry; when they are used up, the delivery is dead. jitter: random, in [0, 1): a retry
    comes after half to one and a half times its pause, so that receivers are not hit by all at once. A receiver may
    ask for a later retry, up to the longest pause.
    """
    tried = replace(delivery, attempts=delivery.attempts + 1, claimed_until=None, error=answer.error)
    if answer.ok:
        return replace(tried, state=DeliveryState.DELIVERED, finished_at=now)
    tried = replace(tried, failures=delivery.failures + 1)
    if answer.status == GONE or tried.failures > len(pauses):
        return replace(tried, state=DeliveryState.DEAD, finished_at=now)
    pause = pauses[delivery.failures] * (0.5 + jitter)
    asked = min(answer.retry_after_s or 0.0, max(pauses))
    return replace(tried, due_at=now + timedelta(seconds=max(pause, asked)))


def longest_pause(pauses: Sequence[float]) -> timedelta:
    """No retry is put off for longer."""
    return timedelta(seconds=1.5 * max(pauses, default=0.0))


def replayed(delivery: Delivery, now: datetime) -> Delivery:
    """Due at once, with all its tries before it, whatever became of it. Raises Conflict while it is being sent."""
    if delivery.claimed_until is not None and now < delivery.claimed_until:
        raise Conflict(
            "this delivery is being sent at this moment.", hint="Look at it again.", message=delivery.message_id
        )
    return replace(
        delivery,
        state=DeliveryState.PENDING,
        due_at=now,
        failures=0,
        epoch=delivery.epoch + 1,
        claimed_until=None,
        finished_at=None,
    )


@dataclass(frozen=True, slots=True)
class Backlog:
    """How many deliveries of an endpoint wait, and how many were given up."""

    pending: int = 0
    dead: int = 0
