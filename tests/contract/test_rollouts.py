"""Rollouts and the configuration revision, as every database keeps them. Each test is run on SQLite and PostgreSQL."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
import uvloop
from alembic import command
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import IntegrityError

from loop.domain.cycle import CycleState
from loop.domain.errors import Conflict, NotFound, Unavailable
from loop.domain.model import PromotionKind, PromotionState
from loop.domain.ports import Transaction
from loop.domain.rollouts.canary import Arm, CanaryRules, CanaryStanding, CanaryVerdict, OnPass, OnUndecided
from loop.domain.rollouts.rollout import Rollout, RolloutKind, RolloutLimits, RolloutState
from loop.store.database import SqlStore, migrations
from loop.store.engine import engine_for, migrating
from tests.contract.records import (
    NOW,
    ODD,
    PROJECT,
    a_cycle,
    a_job,
    a_model,
    a_policy,
    a_project,
    a_promotion,
    a_recipe,
    a_token,
    a_truth,
    an_event,
    an_item,
    digest,
    furnish,
    later,
)

LIMITS = RolloutLimits(
    min_requests=50, max_error_rate=0.1 + 0.2, max_latency_ratio=1.5, confidence=0.999, window_s=1 / 3
)


def a_rollout(
    number: int = 0,
    *,
    kind: RolloutKind = RolloutKind.CANARY,
    state: RolloutState = RolloutState.QUEUED,
    project_id: str = PROJECT,
    at: datetime = NOW,
) -> Rollout:
    return Rollout(
        id=f"rollout_{project_id}_{number}",
        project_id=project_id,
        kind=kind,
        model_id=f"model_{project_id}_1",
        champion_id=f"model_{project_id}_0",
        share=1 / 3,
        state=state,
        actor=ODD,
        reason=ODD,
        limits=LIMITS,
        created_at=at,
        finished_at=later(9) if state.finished else None,
    )


@pytest.fixture
def furnished(store: SqlStore) -> SqlStore:
    """A store with a project, three items and two models."""
    furnish(store, items=3, models=2)
    return store


# --- rollouts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", RolloutState)
@pytest.mark.parametrize("kind", RolloutKind)
def test_a_rollout_comes_back(furnished: SqlStore, kind: RolloutKind, state: RolloutState) -> None:
    """In every kind and state, with its limits to the last bit."""
    rollout = replace(a_rollout(kind=kind, state=state), error=ODD)
    with furnished.begin() as tx:
        tx.rollouts.add(rollout)
    with furnished.read() as tx:
        assert tx.rollouts.get(PROJECT, rollout.id) == rollout
        assert tx.rollouts.of_project(PROJECT) == [rollout]


def test_an_unknown_rollout_is_not_found(furnished: SqlStore) -> None:
    """Nor is one of another project."""
    furnish(furnished, items=0, models=2, project_id="other")
    with furnished.begin() as tx:
        tx.rollouts.add(a_rollout())
    with furnished.read() as tx:
        for project_id, rollout_id in ((PROJECT, "nope"), ("other", a_rollout().id)):
            with pytest.raises(NotFound):
                tx.rollouts.get(project_id, rollout_id)


@pytest.mark.parametrize("state", [RolloutState.QUEUED, RolloutState.ACTIVE])
def test_one_unfinished_rollout_of_a_kind(furnished: SqlStore, state: RolloutState) -> None:
    """A second is refused, naming the first, and the transaction can go on; the other kind and other projects are
    not concerned."""
    furnish(furnished, items=0, models=2, project_id="other")
    with furnished.begin() as tx:
        tx.rollouts.add(a_rollout(0, state=state))
    with furnished.begin() as tx:
        with pytest.raises(Conflict) as caught:
            tx.rollouts.add(a_rollout(1))
        assert caught.value.ids["rollout"] == a_rollout(0).id
        tx.rollouts.add(a_rollout(2, kind=RolloutKind.SHADOW, at=later(1)))
        tx.rollouts.add(a_rollout(3, project_id="other", at=later(2)))
    with furnished.read() as tx:
        assert [r.id[-1] for r in tx.rollouts.unfinished()] == ["0", "2", "3"]


@pytest.mark.parametrize("state", [state for state in RolloutState if state.finished])
def test_after_a_rollout_has_ended_another_may_begin(furnished: SqlStore, state: RolloutState) -> None:
    """However it ended; the history is newest first, and the unfinished are oldest first."""
    with furnished.begin() as tx:
        tx.rollouts.add(a_rollout(0, state=state))
        tx.rollouts.add(a_rollout(1, at=later(1)))
    with furnished.read() as tx:
        assert [r.id[-1] for r in tx.rollouts.of_project(PROJECT)] == ["1", "0"]
        assert [r.id[-1] for r in tx.rollouts.unfinished()] == ["1"]


def test_racing_starts_have_one_winner(furnished: SqlStore) -> None:
    """Of eight that start at the same moment, seven are refused."""
    start = threading.Barrier(8)

    def add(number: int) -> bool:
        start.wait()
        try:
            with furnished.begin() as tx:
                tx.rollouts.add(a_rollout(number))
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(add, range(8))) == 1


def test_a_save_moves_only_from_the_expected_state(furnished: SqlStore) -> None:
    """State, reason and end are written where the state is the one that the caller saw; the rest never changes."""
    rollout = a_rollout()
    active = replace(rollout, state=RolloutState.ACTIVE, share=0.9)
    back = replace(rollout, state=RolloutState.ROLLED_BACK, error=ODD, finished_at=later(5))
    with furnished.begin() as tx:
        tx.rollouts.add(rollout)
        assert not tx.rollouts.save(back, expected=RolloutState.ACTIVE)
        assert tx.rollouts.save(active, expected=RolloutState.QUEUED)
        assert not tx.rollouts.save(active, expected=RolloutState.QUEUED)
        assert tx.rollouts.get(PROJECT, rollout.id) == replace(rollout, state=RolloutState.ACTIVE)
        assert tx.rollouts.save(back, expected=RolloutState.ACTIVE)
        assert not tx.rollouts.save(replace(back, id="nope"), expected=RolloutState.ACTIVE)
    with furnished.read() as tx:
        assert tx.rollouts.get(PROJECT, rollout.id) == back
        assert tx.rollouts.unfinished() == []


JUDGING = CanaryRules(
    margin=0.1 + 0.2, confidence=0.95, max_hours=1 / 3, max_answers=7, patience_hours=0.1, on_pass=OnPass.PROMOTE,
    on_undecided=OnUndecided.ACCEPT, expected=1 / 7,
)  # fmt: skip
STANDING = CanaryStanding(
    verdict=CanaryVerdict.NOT_WORSE, looked_at=later(2).astimezone(UTC), until=later(1).astimezone(UTC),
    canary=Arm(3, 1, 1 / 3), champion=Arm(0, 0, None), predictions=99, waiting=2, unanswered=1, low=-1 / 3, high=0.1,
    needed=None, passed_at=later(2).astimezone(UTC), words=ODD,
)  # fmt: skip


def test_how_a_canary_is_judged_and_stands_comes_back(furnished: SqlStore) -> None:
    """To the last bit, with since when it is active and whose winner it is; a look changes nothing that gateways have
    to read again."""
    rollout = replace(a_rollout(), judging=JUDGING, cycle_id=ODD)
    active = replace(rollout, state=RolloutState.ACTIVE, active_at=later(1))
    with furnished.begin() as tx:
        tx.rollouts.add(rollout)
        assert tx.rollouts.save(active, expected=RolloutState.QUEUED)
    before = furnished.revision()
    with furnished.begin() as tx:
        tx.rollouts.stands(rollout.id, replace(STANDING, passed_at=None))
        tx.rollouts.stands(rollout.id, STANDING)
    with furnished.read() as tx:
        assert tx.rollouts.get(PROJECT, rollout.id) == replace(active, standing=STANDING)
    assert furnished.revision() == before


def test_racing_rollbacks_have_one_winner(furnished: SqlStore) -> None:
    """Several gateways that see the same breach: one takes the rollout back."""
    rollout = a_rollout(state=RolloutState.ACTIVE)
    with furnished.begin() as tx:
        tx.rollouts.add(rollout)
    start = threading.Barrier(8)

    def take_back(number: int) -> bool:
        start.wait()
        with furnished.begin() as tx:
            done = replace(rollout, state=RolloutState.ROLLED_BACK, error=str(number), finished_at=NOW)
            return tx.rollouts.save(done, expected=RolloutState.ACTIVE)

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(take_back, range(8))) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"share": 0.0},
        {"share": 1.5},
        {"model_id": a_rollout().champion_id},
        {"finished_at": NOW},
        {"state": RolloutState.ENDED},
        {"model_id": "model_other_0"},
    ],
    ids=str,
)
def test_a_rollout_that_the_domain_forbids_cannot_be_committed(furnished: SqlStore, wrong: dict[str, Any]) -> None:
    """Shares outside, the champion beside itself, an end without an end, a model of another project."""
    furnish(furnished, items=0, models=1, project_id="other")
    with pytest.raises(IntegrityError), furnished.begin() as tx:
        tx.rollouts.add(replace(a_rollout(), **wrong))


# --- serving options ---------------------------------------------------------------------------------


def test_serving_options_come_back(furnished: SqlStore) -> None:
    """Of a model, and of the promotion that asks for them; saving what was found out of a model leaves them."""
    options = {"device": "cuda:1", "num_gpus": 0.25, "detector_replicas": 2, ODD: None}
    asked = replace(a_promotion(), kind=PromotionKind.RECONFIGURE, serving=options)
    with furnished.begin() as tx:
        assert tx.models.get(PROJECT, a_model(0).id).serving == {}
        tx.models.configure(PROJECT, a_model(0).id, options)
        tx.models.save(replace(a_model(0), reference_key=digest(9)))
        tx.promotions.add(asked)
        with pytest.raises(NotFound):
            tx.models.configure(PROJECT, "nope", {})
    with furnished.read() as tx:
        assert tx.models.get(PROJECT, a_model(0).id) == replace(a_model(0), reference_key=digest(9), serving=options)
        assert tx.promotions.get(asked.id) == asked


def test_rows_of_the_first_schema_survive_the_migration(empty_url: str) -> None:
    """Models and promotions that were written before options and rollouts existed have none, and refer as before."""
    engine = engine_for(empty_url)
    at, head = "2026-01-01 00:00:00", '{"backend": "b", "architecture": {}, "labels": ["x"], "image_size": 32, '
    head += '"embedding_dim": 3}'
    rows = {
        "recipes": {"project_id": "p", "version": 1, "labels": "[]", "guidelines": ""},
        "policies": {"project_id": "p", "version": 1, "threshold": 0.5, "audit_rate": 0.1, "score_threshold": 0.2,
                     "failure_iou": 0.5, "lease_seconds": 60},
        "models": {"id": "m", "project_id": "p", "digest": "d", "head": head, "origin": "registered",
                   "created_at": at, "notes": '{"kept": 1}'},
        "promotions": {"id": "r", "project_id": "p", "model_id": "m", "kind": "first", "actor": "a", "reason": "",
                       "state": "active", "error": "", "created_at": at},
    }  # fmt: skip
    with migrating(engine).begin() as connection:
        command.upgrade(migrations(connection), "0001")
    with engine.begin() as connection:
        connection.execute(
            sa.text("INSERT INTO projects (id, recipe_version, policy_version, created_at) VALUES ('p', 1, 1, :at)"),
            {"at": at},
        )
        for table, row in rows.items():
            names = ", ".join(row)
            values = ", ".join(f":{name}" for name in row)
            connection.execute(sa.text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)
        connection.execute(sa.text("UPDATE projects SET champion_id = 'm'"))
    engine.dispose()
    store = SqlStore.open(empty_url)
    store.migrate()
    with store.read() as tx:
        model, promotion = tx.models.get("p", "m"), tx.promotions.get("r")
        assert (model.notes, model.serving, promotion.serving) == ({"kept": 1}, {}, {})
        assert (promotion.state, tx.projects.get("p").champion_id) == (PromotionState.ACTIVE, "m")
        assert tx.configuration.revision() == 0
    assert store.check() == []
    store.close()


# --- the configuration revision ----------------------------------------------------------------------

Write = Callable[[Transaction, int], object]

# What gateways keep in memory, and what the reconcile loop waits for. `n` makes each write one of its own.
WRITES: dict[str, Write] = {
    "project": lambda tx, n: tx.projects.add(a_project(f"p{n}")),
    "policy": lambda tx, n: tx.projects.save_policy(PROJECT, a_policy(n + 2)),
    "recipe": lambda tx, n: tx.projects.save_recipe(PROJECT, a_recipe(n + 2)),
    "champion": lambda tx, n: tx.projects.move_champion(
        PROJECT, expected=tx.projects.get(PROJECT).champion_id, to=a_model(n % 2).id
    ),
    "model": lambda tx, n: tx.models.add(a_model(n + 100)),
    "model save": lambda tx, n: tx.models.save(replace(a_model(0), notes={"n": n})),
    "model options": lambda tx, n: tx.models.configure(PROJECT, a_model(1).id, {"detector_replicas": n}),
    "token": lambda tx, n: tx.tokens.add(a_token(n)),
    "revoked token": lambda tx, n: (tx.tokens.add(a_token(n)), tx.tokens.revoke(a_token(n).id, NOW)),
    "rollout": lambda tx, n: tx.rollouts.add(a_rollout(n, state=RolloutState.ENDED)),
    "rollout state": lambda tx, n: (
        tx.rollouts.add(a_rollout(n)),
        tx.rollouts.save(
            replace(a_rollout(n), state=RolloutState.ENDED, finished_at=NOW), expected=RolloutState.QUEUED
        ),
    ),
    "promotion": lambda tx, n: tx.promotions.add(a_promotion(n)),
    "cycle": lambda tx, n: (
        tx.cycles.add(a_cycle(n)),
        tx.cycles.save(replace(a_cycle(n), state=CycleState.FAILED)),
    ),
    "annotation": lambda tx, n: tx.annotations.add(a_job(n)),
}
# What neither of them asks for.
OTHERS: dict[str, Write] = {
    "item": lambda tx, n: tx.items.add(an_item(n + 100)),
    "truth": lambda tx, n: (tx.items.add(an_item(n + 100)), tx.truths.add(a_truth(item=n + 100))),
    "event": lambda tx, n: tx.events.add(an_event()),
}


@pytest.mark.parametrize("name", WRITES)
def test_every_write_that_others_must_learn_of_raises_the_revision(furnished: SqlStore, name: str) -> None:
    """Within the transaction at once, for others with its commit."""
    before = furnished.revision()
    with furnished.begin() as tx:
        WRITES[name](tx, 0)
        assert tx.configuration.revision() > before
        assert furnished.revision() == before
    assert furnished.revision() > before


@pytest.mark.parametrize("name", ["revoked token", "rollout state"])
def test_each_of_two_writes_raises_the_revision(furnished: SqlStore, name: str) -> None:
    """The second one too, not only the row that it needs."""
    before = furnished.revision()
    with furnished.begin() as tx:
        WRITES[name](tx, 0)
    assert furnished.revision() == before + 2


@pytest.mark.parametrize("name", OTHERS)
def test_the_work_of_the_day_leaves_the_revision(furnished: SqlStore, name: str) -> None:
    """Predictions and reviews come all day; a gateway need not read its configuration again for them."""
    before = furnished.revision()
    with furnished.begin() as tx:
        OTHERS[name](tx, 0)
    assert furnished.revision() == before


def test_the_revision_is_read_anew_where_its_connection_was_cut(furnished: SqlStore) -> None:
    """A database that was started again, or a balancer that closes what is idle: the next question has its answer."""
    before = furnished.revision()
    furnished._revision._connection.dbapi_connection.close()
    assert furnished.revision() == before
    with furnished.begin() as tx:
        tx.tokens.add(a_token(0))
    assert furnished._revision() == before + 1  # by a new connection of its own, not by a transaction


def test_an_event_loop_hears_of_what_is_committed_while_somebody_writes(url: str, furnished: SqlStore) -> None:
    """SQLite is in this process, and answers at once; PostgreSQL is waited for by a connection of the loop. Both on
    asyncio's own loop and on uvloop, on which Ray Serve runs gateways."""

    async def heard() -> tuple[int | None, int | None]:
        revisions = furnished.revisions()
        found = revisions.at_once(), await revisions.awaited()
        await revisions.close()
        return found

    def of(revision: int) -> tuple[int | None, int | None]:
        return (revision, None) if url.startswith("sqlite") else (None, revision)

    before = furnished.revision()
    with furnished.begin() as tx:
        tx.tokens.add(a_token(0))
        assert asyncio.run(heard()) == of(before)
    assert asyncio.run(heard()) == of(before + 1)
    assert uvloop.run(heard()) == of(before + 1)


def test_an_event_loop_that_cannot_have_the_revision_does_not_wait(
    url: str, furnished: SqlStore, empty_url: str
) -> None:
    """A connection that was cut, a database without tables: a thread asks then, and is told what is wrong. The next
    question is answered again."""

    async def story() -> None:
        before = furnished.revision()
        revisions, of_empty = furnished.revisions(), empty.revisions()
        if url.startswith("sqlite"):
            furnished._revision._connection.dbapi_connection.close()
            assert revisions.at_once() is None
            assert furnished.revision() == before
            assert revisions.at_once() == before
        else:
            assert await revisions.awaited() == before
            with furnished._engine.connect() as connection:
                cut = sa.func.pg_terminate_backend(revisions._connection.info.backend_pid)
                assert connection.scalar(sa.select(cut))
            assert await revisions.awaited() is None
            assert await revisions.awaited() == before
        assert of_empty.at_once() is None
        assert await of_empty.awaited() is None
        await revisions.close()
        await of_empty.close()

    empty = SqlStore.open(empty_url)
    asyncio.run(story())
    empty.close()


def test_the_revision_of_a_database_without_tables_says_what_to_do(empty_url: str) -> None:
    """As any other read of it does."""
    store = SqlStore.open(empty_url)
    with pytest.raises(Unavailable, match="has no Askance tables"):
        store.revision()
    store.close()


class _Crash(Exception):
    pass


def test_the_revision_changes_exactly_with_what_is_committed(furnished: SqlStore) -> None:
    """Any sequence of transactions, some of which fail: the revision grows with each that wrote configuration and was
    committed, and with no other."""
    used = iter(range(10**9))
    steps = st.lists(
        st.tuples(st.lists(st.sampled_from([*WRITES, *OTHERS]), max_size=4), st.booleans()), min_size=1, max_size=6
    )

    @given(steps)
    @settings(
        max_examples=25, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
    )
    def check(transactions: list[tuple[list[str], bool]]) -> None:
        for names, crashes in transactions:
            before = furnished.revision()
            try:
                with furnished.begin() as tx:
                    for name in names:
                        (WRITES | OTHERS)[name](tx, next(used))
                    if crashes:
                        raise _Crash
            except _Crash:
                pass
            changed = not crashes and any(name in WRITES for name in names)
            assert (furnished.revision() > before) == changed

    check()


def test_a_reader_of_a_revision_sees_all_that_raised_it(furnished: SqlStore) -> None:
    """Eight writers at once, each of a token: whoever reads revision r finds r tokens more than at the start, in the
    same transaction and, or more, in a later one."""
    begun = furnished.revision()
    writers, each = 8, 10
    done = threading.Event()
    wrong: list[tuple[int, int, int]] = []

    def write(writer: int) -> None:
        for number in range(each):
            with furnished.begin() as tx:
                tx.tokens.add(a_token(writer * each + number))

    def watch() -> None:
        while not done.is_set():
            with furnished.read() as tx:
                at, together = tx.configuration.revision() - begun, len(tx.tokens.all())
            with furnished.read() as tx:
                after = len(tx.tokens.all())
            if not at == together <= after:
                wrong.append((at, together, after))

    with ThreadPoolExecutor(writers + 1) as pool:
        watching = pool.submit(watch)
        for written in [pool.submit(write, number) for number in range(writers)]:
            written.result()
        done.set()
        watching.result()
    assert wrong == []
    assert furnished.revision() == begun + writers * each


def test_writers_of_several_tables_do_not_deadlock(furnished: SqlStore) -> None:
    """Transactions that write project, model, token and rollout in any order take their turns."""
    orders = [
        ("champion", "rollout", "token"),
        ("token", "champion", "model save"),
        ("rollout", "model save", "policy"),
        ("model save", "policy", "champion"),
    ]
    policies = iter(range(10**6))
    lock, start = threading.Lock(), threading.Barrier(len(orders))

    def write(number: int) -> None:
        start.wait()
        for turn in range(6):
            with furnished.begin() as tx:
                for name in orders[number]:
                    with lock:
                        n = next(policies)
                    if name == "policy":
                        tx.projects.save_policy(
                            PROJECT, a_policy(tx.projects.get(PROJECT).policy.version + 1 + 100 * n)
                        )
                    else:
                        WRITES[name](tx, n + 1000 * turn)

    with ThreadPoolExecutor(len(orders)) as pool:
        list(pool.map(write, range(len(orders))))
