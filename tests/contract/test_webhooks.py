"""The outbox on both databases: filled with the event or not at all, claimed by one at a time, never lost."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import Engine
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy.exc import IntegrityError

from loop.domain.access import Role, Token
from loop.domain.errors import Conflict, Forbidden, Invalid, NotFound
from loop.domain.identity import new_id
from loop.domain.outgoing.webhooks import Answer, Attempt, Backlog, Delivery, DeliveryState, Endpoint, Secret
from loop.domain.ports import Event, Transaction
from loop.store.database import SqlStore
from loop.webhooks.sending import Deliverer, DeliverySettings, Posted, Webhooks
from tests.contract.records import NOW, ODD, PROJECT, a_project, an_event, later

OK = Answer(status=204, error="", milliseconds=1.5)
BAD = Answer(status=500, error="It answered 500.", milliseconds=2.5)
OPERATOR = Token(id="tok_1", name="ada", role=Role.OPERATOR, secret_digest="", project_id=None, created_at=NOW)
LEASE = timedelta(seconds=60)


@dataclass
class Watch:
    """A clock that a test turns."""

    seconds: float = 0.0

    def __call__(self) -> datetime:
        return later(self.seconds)


@dataclass
class Nowhere:
    """Notes what it should send."""

    sent: list[tuple[str, str, str]] = field(default_factory=list)

    async def send(self, endpoint: Endpoint, message_id: str, body: str) -> Answer:
        self.sent.append((endpoint.id, message_id, body))
        return OK


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def webhooks(store: SqlStore, watch: Watch) -> Webhooks:
    """Of a store with two projects."""
    with store.begin() as tx:
        tx.projects.add(a_project())
        tx.projects.add(a_project("other"))
    numbers = iter(range(10_000))
    return Webhooks(store, Nowhere(), False, watch, lambda count: next(numbers).to_bytes(count, "big"))


@pytest.fixture
def deliverer(store: SqlStore, watch: Watch) -> Deliverer:
    return a_deliverer(store, watch)


def a_deliverer(
    store: SqlStore, watch: Watch, *, pauses: tuple[float, ...] = (5.0, 300.0), at_once: int = 4
) -> Deliverer:
    settings = DeliverySettings(
        pauses=pauses,
        lease=LEASE,
        at_once=at_once,
        disable_after=timedelta(days=5),
        keep_delivered=timedelta(days=7),
        keep_dead=timedelta(days=90),
    )
    return Deliverer(store, settings, watch, lambda: 0.5)


def an_endpoint(webhooks: Webhooks, *types: str, project: str | None = PROJECT) -> str:
    made, _ = webhooks.create(OPERATOR, "https://example.org/h", project_id=project, types=types, description=ODD)
    return made.id


def finished(number: int = 0, *, project: str = PROJECT, at: datetime = NOW) -> Event:
    body = {"cycle_id": f"cycle_{number}", "state": "refused", "candidate_id": None, "error": ODD}
    return Event("cycle.finished", project, "ada", body, at)


def happen(store: SqlStore, *events: Event) -> None:
    with store.begin() as tx:
        for one in events:
            tx.events.add(one)


def kept(store: SqlStore, endpoint_id: str, state: DeliveryState | None = None) -> list[Delivery]:
    """Oldest first."""
    with store.read() as tx:
        return tx.deliveries.page(endpoint_id, state=state, after=None, limit=200)[::-1]


def tell(deliverer: Deliverer, watch: Watch, answer: Answer) -> list[Delivery]:
    """Send all that is due now, in one turn after the other; what was sent."""
    sent: list[Delivery] = []
    posted: list[Posted] = []
    while (claimed := deliverer.turn(posted, {})) or posted:
        posted = [Posted(delivery, watch(), answer) for _, delivery in claimed]
        sent += [delivery for _, delivery in claimed]
    return sent


# --- filling it ------------------------------------------------------------------------------------


def test_an_event_and_its_deliveries_are_one_transaction(store: SqlStore, webhooks: Webhooks) -> None:
    """Both are there when it commits, neither when it does not."""
    endpoint = an_endpoint(webhooks)
    with pytest.raises(ZeroDivisionError), store.begin() as tx:
        tx.events.add(finished(1))
        raise ZeroDivisionError
    assert kept(store, endpoint) == []
    happen(store, finished(2))
    (delivery,) = kept(store, endpoint)
    told = json.loads(delivery.body)
    assert (told["type"], told["project_id"], told["data"]["cycle_id"]) == ("cycle.finished", PROJECT, "cycle_2")
    assert told["data"]["error"] == ODD
    assert (delivery.state, delivery.due_at, delivery.attempts, delivery.epoch) == (DeliveryState.PENDING, NOW, 0, 0)


def test_each_endpoint_that_wants_an_event_gets_it_under_one_id(store: SqlStore, webhooks: Webhooks) -> None:
    """Those of other projects, of other types and those that are off get nothing."""
    all_, mine, picky = (
        an_endpoint(webhooks, project=None),
        an_endpoint(webhooks),
        an_endpoint(webhooks, "task.created"),
    )
    other, off = an_endpoint(webhooks, project="other"), an_endpoint(webhooks)
    webhooks.change(OPERATOR, off, enable=False)
    happen(store, finished())
    ids = {name: [one.message_id for one in kept(store, name)] for name in (all_, mine, picky, other, off)}
    assert ids[all_] == ids[mine] and len(ids[mine]) == 1
    assert ids[picky] == ids[other] == ids[off] == []


def test_what_is_only_announced_is_not_in_the_history(store: SqlStore, webhooks: Webhooks) -> None:
    endpoint = an_endpoint(webhooks)
    with store.begin() as tx:
        tx.events.announce([finished(number) for number in range(3)])
    assert len(kept(store, endpoint)) == 3
    with store.read() as tx:
        assert [one.kind for one in tx.events.after(PROJECT, 0, 9)] == ["webhook.created"]


def test_what_only_the_history_keeps_is_not_announced(store: SqlStore, webhooks: Webhooks) -> None:
    endpoint = an_endpoint(webhooks, project=None)
    happen(store, an_event("cycle.queued"))
    assert kept(store, endpoint) == []


def test_an_accepted_prediction_costs_nothing_and_silence_next_to_nothing(store: SqlStore, webhooks: Webhooks) -> None:
    """A transaction without an announcement does not look at endpoints; without an endpoint none is written to."""
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    sqlalchemy_event.listen(Engine, "before_cursor_execute", note)
    try:
        happen(store, an_event("cycle.queued"))
        assert asked and not any("webhook" in statement for statement in asked)
        happen(store, finished())
    finally:
        sqlalchemy_event.remove(Engine, "before_cursor_execute", note)
    looked = [statement for statement in asked if "webhook" in statement]
    assert len(looked) == 1 and looked[0].startswith("SELECT")


def test_an_endpoint_gets_what_happens_after_it_was_made(store: SqlStore, webhooks: Webhooks) -> None:
    happen(store, finished(1))
    endpoint = an_endpoint(webhooks)
    happen(store, finished(2))
    assert len(kept(store, endpoint)) == 1


@pytest.mark.parametrize("moment", ["before_cursor_execute", "after_cursor_execute"])
def test_an_endpoint_that_is_removed_at_this_moment_fails_no_event(
    store: SqlStore, webhooks: Webhooks, url: str, moment: str
) -> None:
    """PostgreSQL: who keeps an event for it goes first, and the removal waits and takes that along. SQLite has one
    writer at a time anyway."""
    if not url.startswith("postgresql"):
        return
    endpoint = an_endpoint(webhooks)
    failures: list[Exception] = []

    def remove() -> None:
        try:
            webhooks.remove(OPERATOR, endpoint)
        except Exception as error:
            failures.append(error)

    removal = threading.Thread(target=remove)

    def interrupt(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO webhook_deliveries") and removal.ident is None:
            removal.start()
            removal.join(timeout=0.5)

    sqlalchemy_event.listen(Engine, moment, interrupt)
    try:
        happen(store, finished())
    finally:
        sqlalchemy_event.remove(Engine, moment, interrupt)
    removal.join(timeout=20)
    assert failures == [] and kept(store, endpoint) == []
    with store.read() as tx:
        assert [one.kind for one in tx.events.after(PROJECT, 0, 9)][1:] == ["cycle.finished", "webhook.removed"]
        assert tx.endpoints.all() == []


# --- claiming --------------------------------------------------------------------------------------


def test_what_is_claimed_is_nobody_elses_until_the_lease_ends(
    store: SqlStore, webhooks: Webhooks, deliverer: Deliverer, watch: Watch
) -> None:
    endpoint = an_endpoint(webhooks)
    happen(store, finished())
    ((to, first),) = deliverer.turn([], {})
    assert (to.id, first.epoch) == (endpoint, 1)
    watch.seconds = 59
    assert deliverer.turn([], {}) == []
    watch.seconds = 60
    ((_, second),) = deliverer.turn([], {})
    assert (second.message_id, second.body, second.epoch) == (first.message_id, first.body, 2)


def test_what_came_too_late_does_not_count(
    store: SqlStore, webhooks: Webhooks, deliverer: Deliverer, watch: Watch
) -> None:
    """The delivery is its new holder's, whatever the old one says."""
    endpoint = an_endpoint(webhooks)
    happen(store, finished())
    ((_, first),) = deliverer.turn([], {})
    watch.seconds = 60
    ((_, second),) = deliverer.turn([], {})
    deliverer.settle([Posted(first, watch(), BAD)])
    (stored,) = kept(store, endpoint)
    assert (stored.state, stored.attempts, stored.epoch) == (DeliveryState.PENDING, 0, 2)
    deliverer.settle([Posted(second, watch(), OK)])
    deliverer.settle([Posted(first, watch(), BAD)])
    (stored,) = kept(store, endpoint)
    assert (stored.state, stored.attempts) == (DeliveryState.DELIVERED, 1)


def test_racing_senders_never_get_the_same_delivery(store: SqlStore, webhooks: Webhooks, watch: Watch) -> None:
    """Several processes may send; each delivery is claimed once."""
    for _ in range(3):
        an_endpoint(webhooks)
    happen(store, *(finished(number) for number in range(40)))
    claimed: list[tuple[str, str]] = []

    def work() -> None:
        mine = a_deliverer(store, watch, at_once=3)
        idle = 0
        while idle < 3:
            got = mine.turn([], {})
            idle = 0 if got else idle + 1
            claimed.extend((endpoint.id, delivery.message_id) for endpoint, delivery in got)

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(claimed) == len(set(claimed)) == 120


def test_a_slow_endpoint_takes_only_its_own_place(store: SqlStore, webhooks: Webhooks, deliverer: Deliverer) -> None:
    """However much waits for it, others get theirs in the same turn."""
    slow = an_endpoint(webhooks, "cycle.finished")
    happen(store, *(finished(number) for number in range(50)))
    quick = an_endpoint(webhooks)
    happen(store, finished(99))
    first = deliverer.turn([], {})
    assert sorted(endpoint.id for endpoint, _ in first) == [*[slow] * 4, quick]
    happen(store, finished(100))
    assert [endpoint.id for endpoint, _ in deliverer.turn([], {slow: 4})] == [quick]


def test_the_longest_due_goes_first(store: SqlStore, webhooks: Webhooks, deliverer: Deliverer, watch: Watch) -> None:
    endpoint = an_endpoint(webhooks)
    happen(store, *(finished(number, at=later(-number)) for number in range(6)))
    claimed = [json.loads(delivery.body)["data"]["cycle_id"] for _, delivery in deliverer.turn([], {})]
    assert claimed == ["cycle_5", "cycle_4", "cycle_3", "cycle_2"]
    assert endpoint


# --- what became of it -----------------------------------------------------------------------------


def test_a_delivery_that_fails_is_tried_on_schedule_then_dead_then_replayed(
    store: SqlStore, webhooks: Webhooks, deliverer: Deliverer, watch: Watch
) -> None:
    """Each attempt is kept with its status, error and time."""
    endpoint = an_endpoint(webhooks)
    happen(store, finished())
    for due in (0.0, 5.0, 305.0):
        watch.seconds = due - 0.001
        assert tell(deliverer, watch, BAD) == []
        watch.seconds = due
        assert len(tell(deliverer, watch, BAD)) == 1
    (dead,) = kept(store, endpoint, DeliveryState.DEAD)
    assert webhooks.get(OPERATOR, endpoint)[1] == Backlog(pending=0, dead=1)
    assert webhooks.replay(OPERATOR, endpoint, dead.message_id).state is DeliveryState.PENDING
    (again,) = tell(deliverer, watch, OK)
    assert (again.message_id, again.body) == (dead.message_id, dead.body)
    delivery, attempts = webhooks.delivery(OPERATOR, endpoint, dead.message_id)
    assert delivery.state is DeliveryState.DELIVERED
    assert attempts == [
        Attempt(
            endpoint_id=endpoint, message_id=dead.message_id, number=number, at=later(at), status=answer.status,
            error=answer.error, milliseconds=answer.milliseconds,
        )
        for number, at, answer in ((1, 0, BAD), (2, 5, BAD), (3, 305, BAD), (4, 305, OK))
    ]  # fmt: skip


def test_all_dead_are_replayed_at_once(store: SqlStore, webhooks: Webhooks, watch: Watch) -> None:
    endpoint, other = an_endpoint(webhooks), an_endpoint(webhooks)
    impatient = a_deliverer(store, watch, pauses=())
    happen(store, *(finished(number) for number in range(9)))
    assert len(tell(impatient, watch, BAD)) == 18
    assert webhooks.replay_dead(OPERATOR, endpoint) == 9
    assert webhooks.replay_dead(OPERATOR, endpoint) == 0
    assert len(tell(impatient, watch, OK)) == 9
    assert [webhooks.get(OPERATOR, name)[1] for name in (endpoint, other)] == [Backlog(), Backlog(dead=9)]


def test_an_endpoint_where_nothing_arrives_for_days_is_disabled_and_said_to_be(
    store: SqlStore, webhooks: Webhooks, watch: Watch
) -> None:
    """Others are told; what waits for it goes on waiting, and goes out when it is enabled."""
    broken, watcher = an_endpoint(webhooks, "cycle.finished"), an_endpoint(webhooks, "webhook.disabled")
    impatient = a_deliverer(store, watch, pauses=())
    happen(store, finished(1))
    tell(impatient, watch, BAD)
    assert webhooks.get(OPERATOR, broken)[0].failing_since == NOW
    watch.seconds = 5 * 86_400
    happen(store, finished(2, at=watch()), finished(3, at=watch()))
    ((endpoint, claimed), _) = impatient.turn([], {broken: 2})
    assert endpoint.id == broken
    impatient.settle([Posted(claimed, watch(), BAD)])
    found, backlog = webhooks.get(OPERATOR, broken)
    assert not found.enabled and "Nothing arrived since" in found.why_disabled
    assert backlog == Backlog(pending=1, dead=2)
    (told,) = kept(store, watcher)
    assert json.loads(told.body)["data"] == {"endpoint_id": broken, "why": found.why_disabled}
    happen(store, finished(4))
    watch.seconds += 3600
    assert [one.type for one in tell(impatient, watch, OK)] == ["webhook.disabled"]
    with pytest.raises(Conflict, match="disabled"):
        webhooks.replay_dead(OPERATOR, broken)
    with pytest.raises(Conflict, match="disabled"):
        webhooks.replay(OPERATOR, broken, claimed.message_id)
    assert webhooks.change(OPERATOR, broken, enable=True).failing_since is None
    assert len(tell(impatient, watch, OK)) == 1


def test_what_was_removed_while_it_was_sent_is_forgotten(
    store: SqlStore, webhooks: Webhooks, deliverer: Deliverer, watch: Watch
) -> None:
    endpoint = an_endpoint(webhooks)
    happen(store, *(finished(number) for number in range(3)))
    claimed = deliverer.turn([], {})
    deliverer.settle([Posted(claimed[0][1], watch(), BAD)])
    webhooks.remove(OPERATOR, endpoint)
    deliverer.settle([Posted(delivery, watch(), OK) for _, delivery in claimed])
    assert kept(store, endpoint) == []
    with pytest.raises(NotFound):
        webhooks.get(OPERATOR, endpoint)
    assert store.check() == []


# --- a clock that was wrong --------------------------------------------------------------------------


@pytest.mark.parametrize("ahead", [3600.0, 400 * 86_400.0])
def test_what_happened_by_a_clock_that_was_ahead_is_sent_all_the_same(
    store: SqlStore, webhooks: Webhooks, deliverer: Deliverer, watch: Watch, ahead: float
) -> None:
    """Once the clock is right again it would be due in an hour, or in a year; the hourly look sends it now."""
    an_endpoint(webhooks)
    happen(store, finished(at=later(ahead)))
    assert tell(deliverer, watch, OK) == []
    deliverer.tidy()
    assert len(tell(deliverer, watch, OK)) == 1


def test_retries_keep_their_pauses_unless_no_pause_is_so_long(
    store: SqlStore, webhooks: Webhooks, deliverer: Deliverer, watch: Watch
) -> None:
    """A retry that is due later than the longest pause allows was put off by a clock that was ahead."""
    an_endpoint(webhooks)
    happen(store, finished())
    tell(deliverer, watch, BAD)
    deliverer.tidy()
    assert tell(deliverer, watch, OK) == []
    watch.seconds = 86_400.0
    tell(deliverer, watch, BAD)
    watch.seconds = 6.0
    assert tell(deliverer, watch, OK) == []
    deliverer.tidy()
    assert len(tell(deliverer, watch, OK)) == 1


def test_a_clock_that_goes_forward_shortens_one_pause(
    store: SqlStore, webhooks: Webhooks, deliverer: Deliverer, watch: Watch
) -> None:
    """The retries after that have theirs; none is lost, and the message is not given up for it."""
    endpoint = an_endpoint(webhooks)
    happen(store, finished())
    tell(deliverer, watch, BAD)
    watch.seconds = 86_400.0
    assert len(tell(deliverer, watch, BAD)) == 1
    (delivery,) = kept(store, endpoint)
    assert (delivery.state, delivery.due_at) == (DeliveryState.PENDING, later(86_400.0 + 300.0))


def test_a_claim_by_a_clock_that_was_ahead_ends(
    store: SqlStore, webhooks: Webhooks, deliverer: Deliverer, watch: Watch
) -> None:
    """Its sender has died; another one gets the message no later than the hourly look, and a live claim stays."""
    an_endpoint(webhooks)
    watch.seconds = 86_400.0
    happen(store, finished())
    assert len(deliverer.turn([], {})) == 1
    deliverer.tidy()
    assert deliverer.turn([], {}) == []
    watch.seconds = 0.0
    deliverer.tidy()
    ((_, again),) = deliverer.turn([], {})
    assert again.epoch == 2


def test_old_deliveries_are_forgotten_by_their_age(store: SqlStore, webhooks: Webhooks, watch: Watch) -> None:
    """Delivered ones after a week, dead ones after three months, those that wait never."""
    arrives, fails, waits = an_endpoint(webhooks), an_endpoint(webhooks), an_endpoint(webhooks)
    happen(store, finished())
    worker = a_deliverer(store, watch, pauses=())
    for _, delivery in (claimed := worker.turn([], {})):
        if delivery.endpoint_id != waits:
            worker.settle([Posted(delivery, watch(), OK if delivery.endpoint_id == arrives else BAD)])
    assert len(claimed) == 3
    counts = []
    for days in (6.9, 7.1, 89.9, 90.1):
        watch.seconds = days * 86_400
        worker.tidy()
        counts.append([len(kept(store, name)) for name in (arrives, fails, waits)])
    assert counts == [[1, 1, 1], [0, 1, 1], [0, 1, 1], [0, 0, 1]]
    with store.read() as tx:
        assert tx.deliveries.attempts(arrives, claimed[0][1].message_id) == []


# --- endpoints -------------------------------------------------------------------------------------


def test_an_endpoint_comes_back_as_it_was(store: SqlStore, webhooks: Webhooks) -> None:
    """With its secrets, which sign, and without them in what a log could show."""
    made, secret = webhooks.create(
        OPERATOR, "https://example.org/h", project_id=None, types=["task.created"], description=ODD
    )
    turned, second = webhooks.rotate(OPERATOR, made.id)
    with store.read() as tx:
        stored = tx.endpoints.get(made.id)
    assert stored == turned
    assert [one.value for one in stored.secrets] == [second, secret]
    assert stored.secrets[1].until == later(86_400)
    assert secret not in repr(stored)
    saved = replace(stored, failing_since=NOW, enabled=False, why_disabled=ODD, url="https://example.com/")
    with store.begin() as tx:
        tx.endpoints.save(saved)
    with store.read() as tx:
        assert tx.endpoints.get(made.id) == saved
        with pytest.raises(NotFound):
            tx.endpoints.get("hook_none")


def test_a_secret_is_in_no_event(store: SqlStore, webhooks: Webhooks) -> None:
    endpoint, secret = webhooks.create(OPERATOR, "https://example.org/h", project_id=PROJECT, types=[], description="")
    _, second = webhooks.rotate(OPERATOR, endpoint.id)
    webhooks.change(OPERATOR, endpoint.id, url="https://example.com/")
    webhooks.remove(OPERATOR, endpoint.id)
    with store.read() as tx:
        history = tx.events.after(PROJECT, 0, 99)
    assert [one.kind for one in history] == [f"webhook.{what}" for what in ("created", "rotated", "changed", "removed")]
    assert secret not in repr(history) and second not in repr(history)


STRANGER = replace(OPERATOR, id="tok_2", project_id="other")
REVIEWER = replace(OPERATOR, id="tok_3", role=Role.REVIEWER)


@pytest.mark.parametrize(
    "act",
    [
        lambda w, t, e: w.create(t, "https://example.org/", project_id=PROJECT, types=[], description=""),
        lambda w, t, e: w.create(t, "https://example.org/", project_id=None, types=[], description=""),
        lambda w, t, e: w.get(t, e),
        lambda w, t, e: w.change(t, e, enable=False),
        lambda w, t, e: w.rotate(t, e),
        lambda w, t, e: w.remove(t, e),
        lambda w, t, e: w.deliveries(t, e, state=None, after=None, limit=1),
        lambda w, t, e: w.delivery(t, e, "msg_1"),
        lambda w, t, e: w.replay(t, e, "msg_1"),
        lambda w, t, e: w.replay_dead(t, e),
    ],
)
def test_only_its_operators_act_on_an_endpoint(
    webhooks: Webhooks, act: Callable[[Webhooks, Token, str], object]
) -> None:
    """Not those of another project, nor another role."""
    endpoint = an_endpoint(webhooks)
    for token in (STRANGER, REVIEWER):
        with pytest.raises(Forbidden):
            act(webhooks, token, endpoint)
    assert [one.id for one, _ in webhooks.all(OPERATOR)] == [endpoint]
    assert webhooks.all(STRANGER) == []
    assert webhooks.get(OPERATOR, endpoint)[0].enabled


def test_what_cannot_be_an_endpoint_is_refused(webhooks: Webhooks) -> None:
    with pytest.raises(NotFound):
        an_endpoint(webhooks, project="nope")
    with pytest.raises(Invalid):
        an_endpoint(webhooks, "no.type")
    endpoint = an_endpoint(webhooks)
    with pytest.raises(Invalid):
        webhooks.change(OPERATOR, endpoint, url="http://localhost/")
    for _ in range(99):
        an_endpoint(webhooks)
    with pytest.raises(Conflict, match="100 endpoints"):
        an_endpoint(webhooks)


@pytest.mark.parametrize(
    "broken",
    [
        lambda tx, d: tx.deliveries.save([replace(d, state=DeliveryState.DEAD)]),
        lambda tx, d: tx.deliveries.save([replace(d, finished_at=NOW)]),
        lambda tx, d: tx.deliveries.save([replace(d, state=DeliveryState.DEAD, finished_at=NOW, claimed_until=NOW)]),
        lambda tx, d: tx.deliveries.record(
            [Attempt(endpoint_id=d.endpoint_id, message_id="no", number=1, at=NOW, status=1, error="", milliseconds=1)]
        ),
    ],
)
def test_a_delivery_that_cannot_be_is_not_committed(
    store: SqlStore, webhooks: Webhooks, broken: Callable[[Transaction, Delivery], None]
) -> None:
    endpoint = an_endpoint(webhooks)
    happen(store, finished())
    (delivery,) = kept(store, endpoint)
    with pytest.raises(IntegrityError), store.begin() as tx:
        broken(tx, delivery)


def test_deliveries_are_paged_newest_first(store: SqlStore, webhooks: Webhooks, watch: Watch) -> None:
    endpoint = an_endpoint(webhooks)
    happen(store, *(finished(number, at=later(number)) for number in range(5)))
    pages, after = [], None
    while page := webhooks.deliveries(OPERATOR, endpoint, state=None, after=after, limit=2):
        pages += page
        after = page[-1].message_id
    assert [json.loads(one.body)["data"]["cycle_id"] for one in pages] == [f"cycle_{n}" for n in (4, 3, 2, 1, 0)]
    assert new_id("msg", NOW, bytes(10)) < pages[-1].message_id < new_id("msg", later(1), bytes(10))


def test_a_secret_in_the_store_may_end(store: SqlStore, webhooks: Webhooks) -> None:
    """Times of secrets come back in UTC, with their microseconds."""
    endpoint = an_endpoint(webhooks)
    with store.begin() as tx:
        changed = replace(tx.endpoints.get(endpoint), secrets=(Secret("whsec_a"), Secret("whsec_b", later(0.5))))
        tx.endpoints.save(changed)
    with store.read() as tx:
        assert tx.endpoints.get(endpoint).secrets == changed.secrets
