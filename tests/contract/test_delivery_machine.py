"""Webhooks under any order of events: whatever fails, dies or is replayed, no message is lost and none is made up."""

import json
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from loop.domain.access import Role, Token
from loop.domain.errors import Conflict
from loop.domain.outgoing.webhooks import Answer, Delivery, DeliveryState
from loop.domain.ports import Event
from loop.store.database import SqlStore
from loop.webhooks.sending import Deliverer, DeliverySettings, Posted, Webhooks
from tests.contract.records import NOW, a_project

OPERATOR = Token(id="tok_1", name="ada", role=Role.OPERATOR, secret_digest="", project_id=None, created_at=NOW)
LEASE = 60.0
PAUSES = (5.0, 300.0)
ANSWERS = {
    "arrives": Answer(status=204, error="", milliseconds=1.0),
    "fails": Answer(status=500, error="It answered 500.", milliseconds=1.0),
    "gone": Answer(status=410, error="It answered 410.", milliseconds=1.0),
}


class Killed(Exception):
    """The process died before its transaction ended."""


@dataclass
class Receiver:
    """What one endpoint has got, by webhook-id; kept without looking into the store."""

    got: dict[str, str] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)


class NobodyCalls:
    async def send(self, *_: object) -> Answer:
        raise AssertionError


class DeliveryMachine(RuleBasedStateMachine):
    """Two endpoints, processes that send and die, and a clock that is a number."""

    in_hand: Bundle[Delivery] = Bundle("in_hand")
    numbers = count()

    def __init__(self, store: SqlStore) -> None:
        super().__init__()
        self.store = store
        self.seconds = 0.0
        self.project = f"hooks-{next(self.numbers)}"
        self.told: dict[str, list[str]] = {}  # cycle ids that are owed, by endpoint
        self.receivers: dict[str, Receiver] = {}
        self.epochs: dict[tuple[str, str], int] = {}
        self.webhooks = Webhooks(
            store, NobodyCalls(), False, self._now, lambda n: next(self.numbers).to_bytes(n, "big")
        )
        every = timedelta(days=9)
        self.deliverer = Deliverer(
            store,
            DeliverySettings(
                pauses=PAUSES, lease=timedelta(seconds=LEASE), at_once=2, disable_after=every,
                keep_delivered=every, keep_dead=every,
            ),
            self._now,
            lambda: 0.5,
        )  # fmt: skip

    def _now(self) -> datetime:
        return NOW + timedelta(seconds=self.seconds)

    @initialize()
    def listen(self) -> None:
        with self.store.begin() as tx:
            tx.projects.add(a_project(self.project))
        for _ in range(2):
            made, _secret = self.webhooks.create(
                OPERATOR, "https://example.org/", project_id=self.project, types=["cycle.finished"], description=""
            )
            self.told[made.id], self.receivers[made.id] = [], Receiver()

    @rule(how_many=st.integers(1, 3), dies=st.booleans())
    def something_happens(self, how_many: int, dies: bool) -> None:
        """Events and their deliveries are there together, or, where the process died, not at all."""
        cycles = [f"cycle_{next(self.numbers)}" for _ in range(how_many)]
        enabled = [name for name in self.told if self.webhooks.get(OPERATOR, name)[0].enabled]
        with suppress(Killed), self.store.begin() as tx:
            for cycle in cycles:
                body = {"cycle_id": cycle, "state": "failed", "candidate_id": None, "error": ""}
                tx.events.add(Event("cycle.finished", self.project, "ada", body, self._now()))
            if dies:
                raise Killed
        if not dies:
            for name in enabled:
                self.told[name] += cycles

    @rule(target=in_hand)
    def take(self) -> MultipleResults[Delivery]:
        """Each under an epoch that was never given before, and due."""
        claimed = [delivery for endpoint, delivery in self.deliverer.turn([], {}) if endpoint.id in self.told]
        for delivery in claimed:
            key = (delivery.endpoint_id, delivery.message_id)
            assert delivery.epoch > self.epochs.get(key, 0)
            assert delivery.due_at <= self._now()
            self.epochs[key] = delivery.epoch
        return multiple(*claimed)

    @rule(delivery=in_hand, how=st.sampled_from(sorted(ANSWERS)))
    def post_and_tell(self, delivery: Delivery, how: str) -> None:
        """Whoever lost its claim meanwhile changes nothing."""
        before = self._stored(delivery)
        live = before.epoch == delivery.epoch and before.state is DeliveryState.PENDING
        self._post(delivery, how, counts=before.epoch == delivery.epoch)
        self.deliverer.settle([Posted(delivery, self._now(), ANSWERS[how])])
        after = self._stored(delivery)
        if before.epoch != delivery.epoch:
            assert after == before
        elif live:
            expected = {"arrives": DeliveryState.DELIVERED, "gone": DeliveryState.DEAD}.get(how)
            expected = expected or (DeliveryState.DEAD if before.failures >= len(PAUSES) else DeliveryState.PENDING)
            assert (after.state, after.attempts) == (expected, before.attempts + 1)

    @rule(delivery=consumes(in_hand), how=st.sampled_from(sorted(ANSWERS)))
    def post_and_die(self, delivery: Delivery, how: str) -> None:
        """The receiver has it, and nobody was told: it is sent again when the claim has ended."""
        self._post(delivery, how, counts=False)

    @rule(delivery=consumes(in_hand))
    def die_before_posting(self, delivery: Delivery) -> None:
        """Nobody got it."""

    @rule(seconds=st.sampled_from([1.0, 5.0, LEASE, 300.0, 3600.0]))
    def time_passes(self, seconds: float) -> None:
        self.seconds += seconds

    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        """One, whatever became of it; refused only while somebody sends it, or where its endpoint is off."""
        name = data.draw(st.sampled_from(sorted(self.told)))
        known = self._all(name)
        if not known:
            return
        delivery = data.draw(st.sampled_from(known))
        endpoint, _ = self.webhooks.get(OPERATOR, name)
        held = delivery.claimed_until is not None and self._now() < delivery.claimed_until
        try:
            again = self.webhooks.replay(OPERATOR, name, delivery.message_id)
        except Conflict:
            assert held or not endpoint.enabled
        else:
            assert not held and endpoint.enabled
            assert (again.state, again.failures) == (DeliveryState.PENDING, 0)
            self.epochs[name, delivery.message_id] = again.epoch

    @rule(data=st.data())
    def mend(self, data: st.DataObject) -> None:
        """The endpoint is enabled, and all that is dead is replayed."""
        name = data.draw(st.sampled_from(sorted(self.told)))
        self.webhooks.change(OPERATOR, name, enable=True)
        dead = [one for one in self._all(name) if one.state is DeliveryState.DEAD]
        assert self.webhooks.replay_dead(OPERATOR, name) == len(dead)
        for one in dead:
            self.epochs[name, one.message_id] = one.epoch + 1

    @invariant()
    def nothing_is_lost_and_nothing_made_up(self) -> None:
        """What was committed is kept once for each endpoint; what counts as delivered was acknowledged by the receiver;
        all that a receiver got is what is kept, to the byte."""
        for name, owed in self.told.items():
            known = self._all(name)
            assert sorted(json.loads(one.body)["data"]["cycle_id"] for one in known) == sorted(owed)
            bodies = {one.message_id: one.body for one in known}
            receiver = self.receivers[name]
            assert receiver.got.items() <= bodies.items()
            delivered = {one.message_id for one in known if one.state is DeliveryState.DELIVERED}
            assert delivered <= receiver.acknowledged

    def teardown(self) -> None:
        """In the end, with receivers that answer and processes that live, everything arrives."""
        if not self.told:
            return
        for name in self.told:
            self.webhooks.change(OPERATOR, name, enable=True)
            self.webhooks.replay_dead(OPERATOR, name)
        for _ in range(1_000):
            self.seconds += 86_400
            claimed = [delivery for endpoint, delivery in self.deliverer.turn([], {}) if endpoint.id in self.told]
            if not claimed:
                break
            for delivery in claimed:
                self._post(delivery, "arrives", counts=True)
            self.deliverer.settle([Posted(one, self._now(), ANSWERS["arrives"]) for one in claimed])
        for name, owed in self.told.items():
            got = [json.loads(body)["data"]["cycle_id"] for body in self.receivers[name].got.values()]
            assert sorted(got) == sorted(owed)
            assert {one.state for one in self._all(name)} <= {DeliveryState.DELIVERED}
            self.webhooks.remove(OPERATOR, name)

    def _post(self, delivery: Delivery, how: str, *, counts: bool) -> None:
        receiver = self.receivers[delivery.endpoint_id]
        if how == "arrives":
            assert receiver.got.setdefault(delivery.message_id, delivery.body) == delivery.body
            if counts:
                receiver.acknowledged.add(delivery.message_id)

    def _stored(self, delivery: Delivery) -> Delivery:
        with self.store.read() as tx:
            return tx.deliveries.get(delivery.endpoint_id, delivery.message_id)

    def _all(self, name: str) -> list[Delivery]:
        with self.store.read() as tx:
            return tx.deliveries.page(name, state=None, after=None, limit=10_000)


def test_webhooks_keep_their_promises_in_any_order_of_events(store: SqlStore) -> None:
    """Each message that was committed is kept once for each endpoint, sent until it arrives or is given up, under one
    id; a claim that was lost changes nothing. Posts, failures, deaths, waits and replays in any order."""
    run_state_machine_as_test(
        lambda: DeliveryMachine(store),
        settings=settings(
            max_examples=25,
            stateful_step_count=40,
            deadline=None,
            database=None,
            phases=[Phase.generate],  # a failure shows its steps at once; shrinking over a database takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
