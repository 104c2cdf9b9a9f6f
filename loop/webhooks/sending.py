"""Webhooks: who is told what happened, and sending it until it has arrived or was given up."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import product

from loop.domain.access import Permission, Token, require
from loop.domain.announcements import PING, body_of
from loop.domain.errors import Conflict, NotFound
from loop.domain.identity import new_id
from loop.domain.outgoing.webhooks import (
    SECRET_BYTES,
    Answer,
    Attempt,
    Backlog,
    Delivery,
    DeliveryState,
    Endpoint,
    after_answers,
    checked_types,
    checked_url,
    disabled,
    enabled,
    longest_pause,
    replayed,
    rotated,
    secret_from,
    settled,
)
from loop.domain.ports import INSTALLATION, Clock, Entropy, Event, Sender, Store, Transaction

log = logging.getLogger("askance.webhooks")

# Each may be sent several deliveries at once; so many are beyond what one installation tells of.
MOST_ENDPOINTS = 100
_PRUNED_AT_ONCE = 1_000  # in one transaction, which others wait for on SQLite


@dataclass(frozen=True, slots=True)
class Webhooks:
    """What operators do with endpoints. An operator of one project sees and changes that project's alone.

    Each method raises NotFound for an endpoint that is not there, and Forbidden for one of another project.
    """

    store: Store
    sender: Sender
    allow_private: bool
    clock: Clock
    entropy: Entropy

    # --- endpoints --------------------------------------------------------------------------------

    def create(
        self, token: Token, url: str, *, project_id: str | None, types: Sequence[str], description: str
    ) -> tuple[Endpoint, str]:
        """The endpoint and its secret, which is shown at no other time. types: none for all.

        Raises Invalid for the URL or a type, NotFound for the project, Conflict where there are too many.
        """
        require(token, Permission.OPERATE, project_id)
        now = self.clock()
        secret = secret_from(self.entropy(SECRET_BYTES))
        endpoint = Endpoint(
            id=new_id("hook", now, self.entropy(10)),
            project_id=project_id,
            url=checked_url(url, allow_private=self.allow_private),
            types=checked_types(types),
            description=description,
            secrets=(secret,),
            created_by=token.name,
            created_at=now,
        )
        with self.store.begin() as tx:
            if project_id is not None:
                tx.projects.get(project_id)
            if len(tx.endpoints.all()) >= MOST_ENDPOINTS:
                raise Conflict(f"there are {MOST_ENDPOINTS} endpoints already.", hint="Remove one that is not used.")
            tx.endpoints.add(endpoint)
            tx.events.add(_event("created", endpoint, token.name, now))
        return endpoint, secret.value

    def all(self, token: Token) -> list[tuple[Endpoint, Backlog]]:
        """Those that this operator may see, oldest first."""
        with self.store.read() as tx:
            endpoints, backlogs = tx.endpoints.all(), tx.deliveries.backlogs()
        return [
            (endpoint, backlogs.get(endpoint.id, Backlog()))
            for endpoint in endpoints
            if token.project_id in (None, endpoint.project_id)
        ]

    def get(self, token: Token, endpoint_id: str) -> tuple[Endpoint, Backlog]:
        with self.store.read() as tx:
            endpoint = _theirs(token, tx.endpoints.get(endpoint_id))
            return endpoint, tx.deliveries.backlogs().get(endpoint_id, Backlog())

    def change(
        self,
        token: Token,
        endpoint_id: str,
        *,
        url: str | None = None,
        types: Sequence[str] | None = None,
        description: str | None = None,
        enable: bool | None = None,
    ) -> Endpoint:
        """What is None stays. Enabling sends what had to wait; disabling lets it wait, and keeps nothing new.

        Raises Invalid for the URL or a type.
        """
        now = self.clock()
        changes: dict[str, object] = {}
        if url is not None:
            changes["url"] = checked_url(url, allow_private=self.allow_private)
        if types is not None:
            changes["types"] = checked_types(types)
        if description is not None:
            changes["description"] = description
        with self.store.begin() as tx:
            old = _theirs(token, tx.endpoints.for_update(endpoint_id))
            endpoint = replace(old, **changes)  # type: ignore[arg-type]
            if enable is not None and enable != old.enabled:
                endpoint = enabled(endpoint) if enable else disabled(endpoint, f"By {token.name}.")
            tx.endpoints.save(endpoint)
            tx.events.add(_event("changed", endpoint, token.name, now, enabled=endpoint.enabled, changed=[*changes]))
        return endpoint

    def rotate(self, token: Token, endpoint_id: str) -> tuple[Endpoint, str]:
        """A new secret, shown at no other time; the old one signs beside it for a day. Raises Conflict for the sixth
        in a day."""
        now = self.clock()
        secret = secret_from(self.entropy(SECRET_BYTES))
        with self.store.begin() as tx:
            endpoint = rotated(_theirs(token, tx.endpoints.for_update(endpoint_id)), secret, now)
            tx.endpoints.save(endpoint)
            tx.events.add(_event("rotated", endpoint, token.name, now))
        return endpoint, secret.value

    def remove(self, token: Token, endpoint_id: str) -> None:
        """With all its deliveries, whatever their state. Cut in the middle, it can be removed again."""
        now = self.clock()
        with self.store.begin() as tx:
            endpoint = disabled(_theirs(token, tx.endpoints.for_update(endpoint_id)), "It is being removed.")
            tx.endpoints.save(endpoint)
        while _pruned(self.store, endpoint_id, None, now) == _PRUNED_AT_ONCE:
            pass
        with self.store.begin() as tx:
            tx.endpoints.remove(endpoint_id)
            tx.events.add(_event("removed", endpoint, token.name, now))

    async def test(self, token: Token, endpoint_id: str) -> Answer:
        """Send a ping now, also to a disabled endpoint, and tell what came back. It is not kept."""
        endpoint, _ = await asyncio.to_thread(self.get, token, endpoint_id)
        now = self.clock()
        body = body_of(PING.name, now, endpoint.project_id or "", {"endpoint_id": endpoint.id})
        return await self.sender.send(endpoint, new_id("msg", now, self.entropy(10)), body)

    # --- deliveries -------------------------------------------------------------------------------

    def deliveries(
        self, token: Token, endpoint_id: str, *, state: DeliveryState | None, after: str | None, limit: int
    ) -> list[Delivery]:
        """Newest first; `after` is a message id."""
        with self.store.read() as tx:
            _theirs(token, tx.endpoints.get(endpoint_id))
            return tx.deliveries.page(endpoint_id, state=state, after=after, limit=limit)

    def delivery(self, token: Token, endpoint_id: str, message_id: str) -> tuple[Delivery, list[Attempt]]:
        with self.store.read() as tx:
            _theirs(token, tx.endpoints.get(endpoint_id))
            found = tx.deliveries.get(endpoint_id, message_id)
            return found, tx.deliveries.attempts(endpoint_id, message_id)

    def replay(self, token: Token, endpoint_id: str, message_id: str) -> Delivery:
        """Send it again now, under the same id, whatever became of it. Raises Conflict where the endpoint is disabled
        or the delivery is being sent."""
        with self.store.begin() as tx:
            _require_enabled(_theirs(token, tx.endpoints.for_update(endpoint_id)))
            tx.deliveries.get(endpoint_id, message_id)  # raises NotFound
            (found,) = tx.deliveries.for_update(endpoint_id, [message_id])
            delivery = replayed(found, self.clock())
            tx.deliveries.save([delivery])
        return delivery

    def replay_dead(self, token: Token, endpoint_id: str) -> int:
        """All that were given up; how many those are. Raises Conflict where the endpoint is disabled."""
        with self.store.begin() as tx:
            _require_enabled(_theirs(token, tx.endpoints.for_update(endpoint_id)))
            return tx.deliveries.revive(endpoint_id, self.clock())


# --- sending ---------------------------------------------------------------------------------------


_CLOCKS_DIFFER = timedelta(hours=1)  # of processes that send, at most


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySettings:
    """pauses: seconds before each retry. lease: how long who claims a delivery may take to say what came of it.
    at_once: deliveries that one process sends to one endpoint at the same time."""

    pauses: tuple[float, ...]
    lease: timedelta
    at_once: int
    disable_after: timedelta
    keep_delivered: timedelta
    keep_dead: timedelta


@dataclass(frozen=True, slots=True)
class Posted:
    """What came of a delivery that `Deliverer.turn` gave."""

    delivery: Delivery
    at: datetime
    answer: Answer


@dataclass(frozen=True, slots=True)
class Deliverer:
    """What one process that sends webhooks writes down. jitter: random, in [0, 1)."""

    store: Store
    settings: DeliverySettings
    clock: Clock
    jitter: Callable[[], float]

    def turn(self, posted: Sequence[Posted], in_hand: Mapping[str, int]) -> list[tuple[Endpoint, Delivery]]:
        """Settle what came back, and take what is due: until the lease ends nobody else sends it.

        in_hand: by endpoint, how many this process is sending, `posted` not among them.
        """
        now = self.clock()
        due = self._due(now, in_hand)
        if not posted and not due:
            return []
        with self.store.begin() as tx:
            self._settle(tx, posted, now)
            until = now + self.settings.lease
            return [
                (endpoint, delivery)
                for endpoint in (tx.endpoints.all() if due else ())
                if endpoint.enabled and endpoint.id in due
                for delivery in tx.deliveries.claim(endpoint.id, now=now, until=until, limit=due[endpoint.id])
            ]

    def settle(self, posted: Sequence[Posted]) -> None:
        """What came back, when nothing more is to be taken."""
        if posted:
            with self.store.begin() as tx:
                self._settle(tx, posted, self.clock())

    def tidy(self) -> None:
        """Forget what is older than it is kept, and send now what a clock that was ahead has put off."""
        now = self.clock()
        with self.store.begin() as tx:
            tx.deliveries.hasten(now, longest_pause(self.settings.pauses), self.settings.lease + _CLOCKS_DIFFER)
        keeping = (
            (DeliveryState.DELIVERED, self.settings.keep_delivered),
            (DeliveryState.DEAD, self.settings.keep_dead),
        )
        with self.store.read() as tx:
            endpoints = tx.endpoints.all()
        for endpoint, (state, kept) in product(endpoints, keeping):
            with suppress(NotFound):  # removed meanwhile
                while _pruned(self.store, endpoint.id, state, now - kept) == _PRUNED_AT_ONCE:
                    pass

    def _due(self, now: datetime, in_hand: Mapping[str, int]) -> dict[str, int]:
        """How many each endpoint may be sent. A slow one takes nobody's place but its own."""
        with self.store.read() as tx:
            names = tx.deliveries.due(now)
        free = {name: self.settings.at_once - in_hand.get(name, 0) for name in names}
        return {name: count for name, count in free.items() if count > 0}

    def _settle(self, tx: Transaction, posted: Sequence[Posted], now: datetime) -> None:
        # In one order, since each endpoint's row is locked until the end.
        for endpoint_id in sorted({one.delivery.endpoint_id for one in posted}):
            mine = [one for one in posted if one.delivery.endpoint_id == endpoint_id]
            self._settle_of(tx, endpoint_id, mine, now)

    def _settle_of(self, tx: Transaction, endpoint_id: str, posted: Sequence[Posted], now: datetime) -> None:
        """What was claimed by somebody else meanwhile, or replayed, is left to them."""
        try:
            endpoint = tx.endpoints.for_update(endpoint_id)
        except NotFound:
            return  # removed meanwhile
        by_id = {one.delivery.message_id: one for one in posted}
        found = tx.deliveries.for_update(endpoint_id, list(by_id))
        mine = [delivery for delivery in found if delivery.epoch == by_id[delivery.message_id].delivery.epoch]
        done = [
            settled(delivery, by_id[delivery.message_id].answer, now, self.settings.pauses, self.jitter())
            for delivery in mine
        ]
        tx.deliveries.save(done)
        tx.deliveries.record([_attempt(delivery, by_id[delivery.message_id]) for delivery in done])
        answers = [(delivery, by_id[delivery.message_id].answer) for delivery in done]
        changed = after_answers(endpoint, answers, now, self.settings.disable_after)
        if changed != endpoint:
            tx.endpoints.save(changed)
        if endpoint.enabled and not changed.enabled:
            log.warning("webhook endpoint %s is disabled: %s", endpoint.id, changed.why_disabled)
            tx.events.add(_event("disabled", changed, "service", now, why=changed.why_disabled))


def _pruned(store: Store, endpoint_id: str, state: DeliveryState | None, before: datetime) -> int:
    """How many of them there were, at most _PRUNED_AT_ONCE."""
    with store.begin() as tx:
        tx.endpoints.for_update(endpoint_id)
        return tx.deliveries.prune(endpoint_id, state, before, _PRUNED_AT_ONCE)


def _attempt(delivery: Delivery, posted: Posted) -> Attempt:
    return Attempt(
        endpoint_id=delivery.endpoint_id,
        message_id=delivery.message_id,
        number=delivery.attempts,
        at=posted.at,
        status=posted.answer.status,
        error=posted.answer.error,
        milliseconds=posted.answer.milliseconds,
    )


def _theirs(token: Token, endpoint: Endpoint) -> Endpoint:
    require(token, Permission.OPERATE, endpoint.project_id)
    return endpoint


def _require_enabled(endpoint: Endpoint) -> None:
    if not endpoint.enabled:
        raise Conflict(
            f"the endpoint is disabled: {endpoint.why_disabled}",
            hint="Enable it first: askance webhooks change ID --enable.",
            endpoint=endpoint.id,
        )


def _event(what: str, endpoint: Endpoint, actor: str, now: datetime, **more: object) -> Event:
    body = {"endpoint_id": endpoint.id, **more}
    return Event(f"webhook.{what}", endpoint.project_id or INSTALLATION, actor, body, now)
