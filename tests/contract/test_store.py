"""What every database under the store keeps to. Each test is run on SQLite and on PostgreSQL."""

import itertools
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.exc import IntegrityError

from loop.domain.access import Role
from loop.domain.cycle import CycleState, Step
from loop.domain.errors import (
    AlreadySubmitted,
    AskanceError,
    Conflict,
    CycleRunning,
    IdempotencyInFlight,
    IdempotencyMismatch,
    Invalid,
    NotFound,
    SettingsError,
    StaleLease,
    Unavailable,
)
from loop.domain.item import Split
from loop.domain.model import PromotionState
from loop.domain.policy.queue_rules import Lane
from loop.domain.ports import Claim, Queue, Transaction
from loop.domain.review import tasks as review
from loop.domain.review.tasks import Outcome, Task, TaskState
from loop.domain.stage import ROUTED, Stage
from loop.domain.truth import GroundTruth, Shape
from loop.store.database import ReadOnlyTransaction, SqlStore
from loop.store.engine import engine_for
from loop.store.schema import metadata
from tests.contract.records import (
    NOW,
    ODD,
    PROJECT,
    a_cycle,
    a_model,
    a_policy,
    a_prediction,
    a_project,
    a_promotion,
    a_recipe,
    a_submission,
    a_task,
    a_token,
    a_truth,
    an_event,
    an_item,
    digest,
    furnish,
    later,
    same,
)
from tests.postgres import PostgresCluster

Result = TypeVar("Result")


@pytest.fixture
def furnished(store: SqlStore) -> SqlStore:
    """A store with a project, three items and two models."""
    furnish(store, items=3, models=2)
    return store


def race(threads: int, act: Callable[[int], Result]) -> "list[Result | AskanceError]":
    """What each of `threads` calls gave or raised, all started at the same moment."""
    start = threading.Barrier(threads)

    def run(number: int) -> Result | AskanceError:
        start.wait()
        try:
            return act(number)
        except AskanceError as error:
            return error

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))


# --- records come back as they went in -------------------------------------------------------------


def test_a_project_comes_back_with_its_recipe_and_policy(store: SqlStore) -> None:
    """Names in any script, floats and microseconds survive."""
    with store.begin() as tx:
        tx.projects.add(a_project())
    with store.read() as tx:
        assert tx.projects.get(PROJECT) == a_project()
        assert tx.projects.all() == [a_project()]


def test_times_come_back_in_utc(store: SqlStore) -> None:
    """A moment keeps its microseconds and is aware, in UTC, whatever zone it came in."""
    with store.begin() as tx:
        tx.projects.add(a_project())
    with store.read() as tx:
        stored = tx.projects.get(PROJECT).created_at
    assert stored.isoformat() == NOW.astimezone(UTC).isoformat()


def test_a_naive_time_is_refused(store: SqlStore) -> None:
    """A moment without a zone is a bug of the caller and never reaches the database."""
    with pytest.raises(sa.exc.StatementError, match="no timezone"), store.begin() as tx:
        tx.projects.add(replace(a_project(), created_at=NOW.replace(tzinfo=None)))


def test_an_item_comes_back(store: SqlStore) -> None:
    """With its metadata, split and group; an item without a split too."""
    with store.begin() as tx:
        tx.projects.add(a_project())
        plain = replace(an_item(1), split=None, meta={}, source="", group="")
        assert tx.items.add(an_item(0))
        assert tx.items.add(plain)
    with store.read() as tx:
        assert tx.items.get(PROJECT, digest(0)) == an_item(0)
        assert tx.items.get(PROJECT, digest(1)) == plain


@pytest.mark.parametrize("stage", [None, *ROUTED])
def test_a_prediction_comes_back_to_the_bit(furnished: SqlStore, stage: Stage | None) -> None:
    """Detections, signals and the decision are equal, the embedding is the same bytes of float32."""
    prediction = a_prediction(stage=stage)
    with furnished.begin() as tx:
        tx.predictions.add(prediction)
    with furnished.read() as tx:
        assert same(tx.predictions.get(PROJECT, prediction.id), prediction)


def test_an_empty_prediction_comes_back(furnished: SqlStore) -> None:
    """Nothing detected, no signals."""
    prediction = replace(a_prediction(), detections=(), signals={})
    with furnished.begin() as tx:
        tx.predictions.add(prediction)
    with furnished.read() as tx:
        assert same(tx.predictions.get(PROJECT, prediction.id), prediction)


def test_numpy_scalars_are_stored_as_their_values(furnished: SqlStore) -> None:
    """Scores and boxes straight from a model's arrays are kept without loss."""
    score, side = np.float32(0.1), np.float32(3.3)
    box: Any = (np.float32(0), np.float32(1), np.float32(2), side)
    prediction = a_prediction()
    detection = replace(prediction.detections[0], score=cast("float", score), box=box)
    with furnished.begin() as tx:
        tx.predictions.add(replace(prediction, detections=(detection,), signals={"risk": cast("float", score)}))
    with furnished.read() as tx:
        stored = tx.predictions.get(PROJECT, prediction.id)
    assert stored.signals == {"risk": float(score)}
    assert stored.detections[0].score == float(score)
    assert stored.detections[0].box == (0.0, 1.0, 2.0, float(side))


def test_a_task_comes_back_in_every_state(furnished: SqlStore) -> None:
    """Open, leased, closed: with its owner, epoch and times."""
    task = a_task(priority=1 / 3, stage=Stage.AUDIT)
    leased = review.leased(task, owner=ODD, now=NOW, seconds=300)
    closed = review.closed(leased, owner=ODD, epoch=1, now=NOW, outcome=Outcome.SKIPPED)
    with furnished.begin() as tx:
        tx.tasks.add(task)
    for state in (leased, review.released(leased, owner=ODD, epoch=1, now=NOW), leased, closed):
        with furnished.begin() as tx:
            tx.tasks.save(state)
        with furnished.read() as tx:
            assert tx.tasks.get(task.id) == state


def test_a_submission_comes_back(furnished: SqlStore) -> None:
    """Shapes, note and corrections as the reviewer sent them."""
    submission = a_submission(a_task())
    with furnished.begin() as tx:
        tx.tasks.add(a_task())
        tx.submissions.add(submission)
    with furnished.read() as tx:
        assert tx.submissions.of_work(submission.work_id) == [submission]
        assert tx.submissions.of_work("task_none") == []
        assert tx.submissions.page(PROJECT, after=None, limit=9) == [submission]


def test_ground_truth_comes_back(furnished: SqlStore) -> None:
    """An item without objects has a ground truth too: no shapes."""
    empty = replace(a_truth(2), shapes=(), submission_ids=(), origin="import")
    with furnished.begin() as tx:
        assert tx.truths.current(PROJECT, digest(0)) is None
        tx.truths.add(a_truth(1))
        assert tx.truths.current(PROJECT, digest(0)) == a_truth(1)
        tx.truths.add(empty)
    with furnished.read() as tx:
        assert tx.truths.current(PROJECT, digest(0)) == empty


def test_a_model_comes_back(furnished: SqlStore) -> None:
    """With the nested architecture of its head; saving writes what may change."""
    with furnished.begin() as tx:
        assert tx.models.get(PROJECT, a_model(0).id) == a_model(0)
        changed = replace(a_model(0), reference_key=digest(9), notes={ODD: []})
        tx.models.save(changed)
    with furnished.read() as tx:
        assert tx.models.by_digest(PROJECT, digest(0)) == changed
        assert tx.models.by_digest(PROJECT, digest(9)) is None


def test_a_promotion_comes_back(furnished: SqlStore) -> None:
    """Queued, then finished with its error."""
    promotion = a_promotion()
    done = replace(promotion, state=PromotionState.FAILED, error=ODD, finished_at=NOW, previous_id=a_model(1).id)
    with furnished.begin() as tx:
        tx.promotions.add(promotion)
        assert tx.promotions.get(promotion.id) == promotion
        assert tx.promotions.queued() == [promotion]
        tx.promotions.save(done)
    with furnished.read() as tx:
        assert tx.promotions.of_project(PROJECT) == [done]
        assert tx.promotions.queued() == []


def test_a_cycle_comes_back(furnished: SqlStore) -> None:
    """At its start, and with everything that its steps produced."""
    with furnished.begin() as tx:
        tx.cycles.add(a_cycle())
        assert tx.cycles.get(PROJECT, a_cycle().id) == a_cycle()
        tx.promotions.add(a_promotion())
        ended = replace(
            a_cycle(),
            state=CycleState.PROMOTED,
            step=Step.DONE,
            updated_at=later(1),
            champion_id=a_model(0).id,
            snapshot_digest=digest(5),
            candidate_id=a_model(1).id,
            promotion_id=a_promotion().id,
            progress=1.0,
            evaluation={"map50": 1 / 3, "per_label": {ODD: None}},
            decision={"reasons": [ODD]},
            error=ODD,
            finished_at=later(2),
        )
        tx.cycles.save(ended)
    with furnished.read() as tx:
        assert tx.cycles.get(PROJECT, ended.id) == ended
        assert tx.cycles.froze(PROJECT, digest(5)) == [ended]
        assert tx.cycles.froze(PROJECT, digest(6)) == tx.cycles.froze("other", digest(5)) == []
        assert tx.cycles.unfinished() == []


def test_a_token_comes_back(furnished: SqlStore) -> None:
    """By the digest of its secret, for one project or for all."""
    everywhere, here = a_token(0), replace(a_token(1, project_id=PROJECT), role=Role.OPERATOR)
    with furnished.begin() as tx:
        tx.tokens.add(here)
        tx.tokens.add(everywhere)
    with furnished.read() as tx:
        assert tx.tokens.by_secret(here.secret_digest) == here
        assert tx.tokens.by_secret(digest(77)) is None
        assert tx.tokens.all() == [everywhere, here]


def test_a_token_is_revoked_once(furnished: SqlStore) -> None:
    """A revoked token is still found, and keeps the moment of the first revocation; which one that was is told."""
    with furnished.begin() as tx:
        tx.tokens.add(a_token())
        assert tx.tokens.revoke(a_token().id, NOW)
        assert not tx.tokens.revoke(a_token().id, later(60))
    with furnished.read() as tx:
        assert tx.tokens.by_secret(a_token().secret_digest) == replace(a_token(), revoked_at=NOW)


def test_events_are_found_by_their_kind_or_its_first_word(furnished: SqlStore) -> None:
    """A word is whole, and what looks like a pattern is none."""
    kinds = ("clip.imported", "clip.tasks_made", "clips.made", "cl_p.made")
    with furnished.begin() as tx:
        for kind in kinds:
            tx.events.add(an_event(kind))
    with furnished.read() as tx:
        found = {
            kind: [event.kind for event in tx.events.newest(PROJECT, kind, limit=9)]
            for kind in ("clip", "clip.imported", "cl_p", "cli", "made")
        }
    assert found == {
        "clip": ["clip.tasks_made", "clip.imported"],
        "clip.imported": ["clip.imported"],
        "cl_p": ["cl_p.made"],
        "cli": [],
        "made": [],
    }


def test_events_come_back_in_order(furnished: SqlStore) -> None:
    """With growing numbers, of one project, from behind a number on."""
    with furnished.begin() as tx:
        for kind in ("a.first", "a.second", "a.third"):
            tx.events.add(an_event(kind))
        tx.events.add(an_event("b.other", project_id="other"))
    with furnished.read() as tx:
        events = tx.events.after(PROJECT, 0, 9)
        rest = tx.events.after(PROJECT, events[0].sequence, 1)
    assert [replace(event, sequence=0) for event in events] == [
        an_event("a.first"), an_event("a.second"), an_event("a.third"),
    ]  # fmt: skip
    assert [event.sequence for event in events] == sorted({event.sequence for event in events})
    assert rest == [events[1]]


@pytest.mark.parametrize("text", ["a\x00b", "\ud800"])
def test_text_that_one_database_cannot_hold_is_refused_by_both(furnished: SqlStore, text: str) -> None:
    """A caller's NUL or half a surrogate pair is their error, not a crash, and nothing is written."""
    with pytest.raises(Invalid, match="cannot be stored"), furnished.begin() as tx:
        tx.items.add(an_item(8))
        tx.items.add(replace(an_item(9), source=text))
    with furnished.read() as tx, pytest.raises(NotFound):
        tx.items.get(PROJECT, digest(8))


def test_json_holds_text_that_columns_refuse(furnished: SqlStore) -> None:
    """Free keys of an item are a document, in which any character can be escaped."""
    item = replace(an_item(9), meta={"note": "a\x00b\ud800"})
    with furnished.begin() as tx:
        tx.items.add(item)
    with furnished.read() as tx:
        assert tx.items.get(PROJECT, item.digest) == item


# --- what does not exist -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ask",
    [
        lambda tx: tx.projects.get("nope"),
        lambda tx: tx.projects.save_policy("nope", a_policy(2)),
        lambda tx: tx.projects.save_recipe("nope", a_recipe(2)),
        lambda tx: tx.items.get(PROJECT, digest(99)),
        lambda tx: tx.items.get("nope", digest(0)),
        lambda tx: tx.items.set_split(PROJECT, digest(99), Split.VAL, ""),
        lambda tx: tx.predictions.get(PROJECT, "nope"),
        lambda tx: tx.tasks.get("nope"),
        lambda tx: tx.tasks.for_update("nope"),
        lambda tx: tx.tasks.save(a_task(99)),
        lambda tx: tx.models.get("nope", a_model(0).id),
        lambda tx: tx.models.save(a_model(99)),
        lambda tx: tx.promotions.get("nope"),
        lambda tx: tx.promotions.save(a_promotion(99)),
        lambda tx: tx.cycles.get(PROJECT, "nope"),
        lambda tx: tx.cycles.save(a_cycle(99)),
        lambda tx: tx.tokens.revoke("nope", NOW),
    ],
)
def test_what_does_not_exist_is_named(furnished: SqlStore, ask: Callable[[Transaction], object]) -> None:
    """Asking for, or changing, what is not there is NotFound, with what to do next."""
    with furnished.begin() as tx, pytest.raises(NotFound) as caught:
        ask(tx)
    assert caught.value.hint


def test_an_unknown_project_is_answered_with_those_that_exist(furnished: SqlStore) -> None:
    """The hint lists the projects, or says that there is none."""
    with furnished.read() as tx, pytest.raises(NotFound, match=PROJECT):
        tx.projects.get("nope")


# --- what can be there only once -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("twice", "error"),
    [
        (lambda tx: tx.projects.add(a_project()), Conflict),
        (lambda tx: tx.projects.save_policy(PROJECT, a_policy(1)), Conflict),
        (lambda tx: tx.projects.save_recipe(PROJECT, a_recipe(1)), Conflict),
        (lambda tx: tx.predictions.add(a_prediction()), Conflict),
        (lambda tx: tx.tasks.add(a_task(7, prediction=0)), Conflict),
        (lambda tx: tx.submissions.add(a_submission(a_task(), 7)), AlreadySubmitted),
        (lambda tx: tx.truths.add(a_truth(1)), Conflict),
        (lambda tx: tx.truths.add(a_truth(3)), Conflict),
        (lambda tx: tx.models.add(replace(a_model(0), id="model_again")), Conflict),
        (lambda tx: tx.promotions.add(a_promotion()), Conflict),
        (lambda tx: tx.cycles.add(a_cycle(7)), CycleRunning),
        (lambda tx: tx.tokens.add(replace(a_token(), id="tok_again")), Conflict),
    ],
)
def test_a_second_one_is_refused(
    furnished: SqlStore, twice: Callable[[Transaction], None], error: type[AskanceError]
) -> None:
    """In the domain's words, and the transaction can go on with something else."""
    with furnished.begin() as tx:
        tx.predictions.add(a_prediction())
        tx.tasks.add(a_task(prediction=0))
        tx.submissions.add(a_submission(a_task()))
        tx.truths.add(a_truth(1))
        tx.promotions.add(a_promotion())
        tx.cycles.add(a_cycle())
        tx.tokens.add(a_token())
    with furnished.begin() as tx:
        with pytest.raises(error) as caught:
            twice(tx)
        assert caught.value.hint
        tx.items.add(an_item(50))
    with furnished.read() as tx:
        assert tx.items.get(PROJECT, digest(50)) == an_item(50)
        assert tx.tasks.of_prediction(a_prediction().id) == [a_task(prediction=0)]
        assert tx.models.get(PROJECT, a_model(0).id) == a_model(0)


def test_an_item_sent_again_stays_as_it_is(furnished: SqlStore) -> None:
    """The first sender's metadata is kept, and the second is told."""
    with furnished.begin() as tx:
        assert not tx.items.add(replace(an_item(0), source="again"))
        assert tx.items.get(PROJECT, digest(0)).source == ODD


def test_tasks_without_a_prediction_are_not_compared(furnished: SqlStore) -> None:
    """The uniqueness is per prediction; imported or selected items have none."""
    with furnished.begin() as tx:
        tx.tasks.add(a_task(1))
        tx.tasks.add(a_task(2))
        assert tx.tasks.get(a_task(2).id) == a_task(2)


def test_a_project_may_run_its_next_cycle_when_the_last_has_ended(furnished: SqlStore) -> None:
    """One unfinished cycle per project; others neither block nor are blocked."""
    furnish(furnished, project_id="other")
    with furnished.begin() as tx:
        tx.cycles.add(a_cycle(1))
        tx.cycles.add(a_cycle(2, project_id="other", at=later(-1)))
        assert [cycle.id for cycle in tx.cycles.unfinished()] == ["cycle_00002", "cycle_00001"]
        with pytest.raises(CycleRunning, match="cycle_00001"):
            tx.cycles.add(a_cycle(3))
        tx.cycles.save(replace(a_cycle(1), state=CycleState.REFUSED, finished_at=NOW))
        tx.cycles.add(a_cycle(3))


def test_what_has_ended_does_not_change(furnished: SqlStore) -> None:
    """A late save of a finished cycle or promotion is refused and alters nothing."""
    cycle = replace(a_cycle(), state=CycleState.FAILED, error="disk full", finished_at=NOW)
    promotion = replace(a_promotion(), state=PromotionState.ACTIVE, finished_at=NOW)
    with furnished.begin() as tx:
        tx.cycles.add(a_cycle())
        tx.promotions.add(a_promotion())
        tx.cycles.save(cycle)
        tx.promotions.save(promotion)
        with pytest.raises(Conflict):
            tx.cycles.save(replace(a_cycle(), state=CycleState.RUNNING))
        with pytest.raises(Conflict):
            tx.promotions.save(replace(promotion, state=PromotionState.FAILED))
    with furnished.read() as tx:
        assert tx.cycles.get(PROJECT, cycle.id) == cycle
        assert tx.promotions.get(promotion.id) == promotion


@pytest.mark.parametrize(
    "broken",
    [
        lambda tx: tx.items.add(an_item(project_id="nope")),
        lambda tx: tx.predictions.add(a_prediction(item=99)),
        lambda tx: tx.predictions.add(replace(a_prediction(), model_id="nope")),
        lambda tx: tx.predictions.add(replace(a_prediction(), project_id="other")),
        lambda tx: tx.predictions.add(
            replace(a_prediction(), decision=replace(a_prediction().decision, policy_version=9))
        ),
        lambda tx: tx.predictions.add(replace(a_prediction(), decision=replace(a_prediction().decision, stage=None))),
        lambda tx: tx.tasks.add(a_task(item=99)),
        lambda tx: tx.tasks.add(replace(a_task(), recipe_version=9)),
        lambda tx: tx.tasks.add(replace(a_task(), priority=1.5)),
        lambda tx: tx.tasks.add(replace(a_task(), state=TaskState.LEASED)),
        lambda tx: tx.tasks.add(replace(a_task(), owner="tok_1")),
        lambda tx: tx.submissions.add(a_submission(a_task(99))),
        lambda tx: tx.truths.add(a_truth(item=99)),
        lambda tx: tx.models.add(replace(a_model(9), cycle_id="nope")),
        lambda tx: tx.promotions.add(replace(a_promotion(), model_id="nope")),
        lambda tx: tx.cycles.add(replace(a_cycle(), progress=1.01)),
        lambda tx: tx.projects.move_champion(PROJECT, expected=None, to="nope"),
        lambda tx: tx.projects.move_champion(PROJECT, expected=None, to=a_model(0, project_id="other").id),
    ],
)
def test_a_state_that_the_domain_forbids_cannot_be_committed(
    furnished: SqlStore, broken: Callable[[Transaction], object]
) -> None:
    """Dangling references, also into another project, and impossible values stop at the database."""
    furnish(furnished, project_id="other")
    with pytest.raises(IntegrityError), furnished.begin() as tx:
        broken(tx)


# --- versions --------------------------------------------------------------------------------------


def test_a_new_policy_or_recipe_is_the_current_one(furnished: SqlStore) -> None:
    """Old versions stay, for the tasks and predictions that name them."""
    policy, recipe = replace(a_policy(2), threshold=0.9), replace(a_recipe(2), guidelines="")
    with furnished.begin() as tx:
        tx.projects.save_policy(PROJECT, policy)
        tx.projects.save_recipe(PROJECT, recipe)
        tx.tasks.add(a_task())  # under version 1
    with furnished.read() as tx:
        assert tx.projects.get(PROJECT) == replace(a_project(), policy=policy, recipe=recipe)


def test_racing_saves_of_a_version_have_one_winner(furnished: SqlStore) -> None:
    """Each reads the present version and saves the next; nobody's change is lost in silence."""

    def save(number: int) -> int:
        with furnished.begin() as tx:
            version = tx.projects.get(PROJECT).policy.version + 1
            tx.projects.save_policy(PROJECT, replace(a_policy(version), lease_seconds=number + 1))
            return version

    saved = race(8, save)
    versions = [version for version in saved if isinstance(version, int)]
    assert sorted(versions) == list(range(2, 2 + len(versions)))
    assert versions
    assert all(isinstance(result, int | Conflict) for result in saved)


def test_racing_ground_truths_have_one_winner_per_version(furnished: SqlStore) -> None:
    """Two people's answers never share a version, and no version is left out."""

    def add(number: int) -> int:
        with furnished.begin() as tx:
            current = tx.truths.current(PROJECT, digest(0))
            version = current.version + 1 if current else 1
            tx.truths.add(replace(a_truth(version), submission_ids=(f"sub_{number}",)))
            return version

    versions = [result for result in race(8, add) if isinstance(result, int)]
    assert sorted(versions) == list(range(1, 1 + len(versions)))
    with furnished.read() as tx:
        current = tx.truths.current(PROJECT, digest(0))
    assert current is not None
    assert current.version == len(versions)


def test_all_current_ground_truth_is_one_per_item(furnished: SqlStore) -> None:
    """The newest version of each item, with the item, by digest; items without truth and other projects are out."""
    furnish(furnished, project_id="other")
    with furnished.begin() as tx:
        for truth in (a_truth(1, item=2), a_truth(1, item=0), a_truth(2, item=0), a_truth(project_id="other")):
            tx.truths.add(truth)
    with furnished.read() as tx:
        found = list(tx.truths.all_current(PROJECT))
    assert found == [(an_item(0), a_truth(2, item=0)), (an_item(2), a_truth(1, item=2))]


def test_many_items_are_asked_for_at_once(furnished: SqlStore) -> None:
    """Those that are there, with their newest truth where they have any; unknown ones and other projects' are out."""
    furnish(furnished, items=2, project_id="other")
    with furnished.begin() as tx:
        for truth in (a_truth(1, item=0), a_truth(2, item=0), a_truth(project_id="other", item=1)):
            tx.truths.add(truth)
    asked = [digest(number) for number in (0, 1, *range(900, 1500))]
    with furnished.read() as tx:
        assert tx.items.of(PROJECT, asked) == {digest(0): an_item(0), digest(1): an_item(1)}
        assert tx.truths.current_of(PROJECT, asked) == {digest(0): a_truth(2, item=0)}
        assert tx.items.of(PROJECT, []) == tx.truths.current_of(PROJECT, []) == {}


MANY = 120  # more than are written one after the other

# What a bulk format may take for a separator, an escape or a missing value.
_AWKWARD = ("a\tb", "a\nb\r", "\\N", "\\.", "\\", '"', "'", "", "é🦉", "{1,2}", "NULL", "\x01")


def _awkward_truths(version: int = 1) -> list[GroundTruth]:
    return [
        replace(
            a_truth(version, item=number),
            shapes=(Shape(_AWKWARD[number % len(_AWKWARD)] or "x", (0.1, 0.0, 1e-9 + number + 1, 2.5)),),
            submission_ids=(_AWKWARD[number % len(_AWKWARD)],) * (number % 3),
            origin=f"function:{_AWKWARD[number % len(_AWKWARD)]}",
        )
        for number in range(MANY)
    ]


def test_many_truths_come_back_as_they_were_written_at_once(store: SqlStore) -> None:
    """To the bit, whatever their texts; each item is noted once for the lists that follow."""
    furnish(store, items=MANY)
    with store.begin() as tx:
        while tx.item_queries.catch_up(MANY):
            pass
    truths = _awkward_truths()
    with store.begin() as tx:
        tx.truths.add_all(truths)
    with store.read() as tx:
        assert tx.truths.current_of(PROJECT, [one.item_digest for one in truths]) == {
            one.item_digest: one for one in truths
        }
    with store.begin() as tx:
        assert tx.item_queries.catch_up(10 * MANY) == MANY


def test_of_many_truths_none_is_written_where_one_is_not_the_next(store: SqlStore) -> None:
    """A version that is there already is a Conflict, the transaction ends, and the store goes on."""
    furnish(store, items=MANY)
    truths = _awkward_truths()
    with store.begin() as tx:
        tx.truths.add(truths[-1])
    with pytest.raises(Conflict), store.begin() as tx:
        tx.truths.add_all(truths)
    with store.read() as tx:
        assert list(tx.truths.items(PROJECT)) == [truths[-1].item_digest]
    with store.begin() as tx:
        tx.truths.add_all(truths[:-1])
    with store.read() as tx:
        assert len(list(tx.truths.items(PROJECT))) == MANY


def test_of_many_truths_none_is_written_where_a_text_cannot_be_kept(store: SqlStore) -> None:
    """As where they are written one by one: Invalid, on both databases."""
    furnish(store, items=MANY)
    truths = _awkward_truths()
    truths[-1] = replace(truths[-1], origin="function:a\x00b")
    with pytest.raises(Invalid), store.begin() as tx:
        tx.truths.add_all(truths)
    with store.read() as tx:
        assert list(tx.truths.items(PROJECT)) == []


def test_splits_of_many_items_are_set_at_once(furnished: SqlStore) -> None:
    """Split and group, and nothing else of them; other projects keep theirs."""
    furnish(furnished, project_id="other")
    changed = [replace(an_item(number), split=Split.VAL, group=f"g{number}") for number in (0, 1)]
    with furnished.begin() as tx:
        tx.items.set_splits([replace(one, source="not written") for one in changed])
        tx.items.set_splits([])
    with furnished.read() as tx:
        assert [tx.items.get(PROJECT, digest(number)) for number in (0, 1)] == changed
        assert tx.items.get("other", digest(0)) == an_item(0, project_id="other")


def test_labels_are_counted_in_the_newest_ground_truths(furnished: SqlStore) -> None:
    """Each shape counts, whatever its label is called; older versions, empty truths and other projects do not."""
    furnish(furnished, project_id="other")
    several = (Shape(ODD, (0.0, 0.0, 1.0, 1.0)), Shape("seven", (0.0, 0.0, 1.0, 1.0)), Shape(ODD, (0.0, 0.0, 2.0, 2.0)))
    truths = (
        a_truth(1, item=0),
        replace(a_truth(2, item=0), shapes=several),
        a_truth(1, item=1),
        replace(a_truth(1, item=2), shapes=()),
        a_truth(project_id="other"),
    )
    with furnished.begin() as tx:
        assert tx.truths.label_counts(PROJECT) == {}
        for truth in truths:
            tx.truths.add(truth)
    with furnished.read() as tx:
        assert tx.truths.label_counts(PROJECT) == {ODD: 3, "seven": 1}
        assert tx.truths.label_counts("nowhere") == {}


# --- lists -------------------------------------------------------------------------------------------


def _pages(page: Callable[[str | None], list[str]]) -> Iterator[list[str]]:
    after = None
    while found := page(after):
        yield found
        after = found[-1]


def test_predictions_are_paged_newest_first(furnished: SqlStore) -> None:
    """Pages join without gap or repetition, also across equal times, and do not shift when more arrive."""
    with furnished.begin() as tx:
        for number in range(7):
            tx.predictions.add(a_prediction(number, at=later(number // 3)))

    arriving = itertools.count(100)

    def page(after: str | None) -> list[str]:
        with furnished.begin() as tx:
            found = [p.id for p in tx.predictions.page(PROJECT, after=after, limit=2)]
            tx.predictions.add(a_prediction(next(arriving), at=later(99)))
        return found

    pages = list(_pages(page))
    assert [len(found) for found in pages] == [2, 2, 2, 1]
    assert [found for page in pages for found in page] == [a_prediction(n).id for n in (6, 5, 4, 3, 2, 1, 0)]


def test_items_are_paged_newest_first(furnished: SqlStore) -> None:
    """By (created_at, digest); one project's items only."""
    furnish(furnished, project_id="other")
    with furnished.begin() as tx:
        tx.items.add(an_item(9, at=later(-5)))
        tx.items.add(an_item(4, at=later(5)))

    def page(after: str | None) -> list[str]:
        with furnished.read() as tx:
            return [item.digest for item in tx.items.page(PROJECT, after=after, limit=2)]

    assert list(_pages(page)) == [[digest(4), digest(2)], [digest(1), digest(0)], [digest(9)]]


def test_submissions_and_cycles_are_paged_newest_first(furnished: SqlStore) -> None:
    """As everything is."""
    with furnished.begin() as tx:
        for number in range(3):
            task = a_task(number)
            tx.tasks.add(task)
            tx.submissions.add(a_submission(task, number, at=later(-number)))
            tx.cycles.add(a_cycle(number, at=later(-number)))
            tx.cycles.save(replace(a_cycle(number, at=later(-number)), state=CycleState.FAILED))

    def submissions(after: str | None) -> list[str]:
        with furnished.read() as tx:
            return [found.id for found in tx.submissions.page(PROJECT, after=after, limit=2)]

    def cycles(after: str | None) -> list[str]:
        with furnished.read() as tx:
            return [found.id for found in tx.cycles.page(PROJECT, after=after, limit=2)]

    assert list(_pages(submissions)) == [["sub_00000", "sub_00001"], ["sub_00002"]]
    assert list(_pages(cycles)) == [["cycle_00000", "cycle_00001"], ["cycle_00002"]]


def test_a_page_after_something_unknown_is_refused(furnished: SqlStore) -> None:
    """Also after what belongs to another project: silence would look like the end of the list."""
    furnish(furnished, project_id="other", items=9)
    for after in ("nope", digest(8)):
        with furnished.read() as tx, pytest.raises(Invalid, match="cannot start after"):
            tx.items.page(PROJECT, after=after, limit=2)


def test_models_and_promotions_are_listed_newest_first(furnished: SqlStore) -> None:
    """The queue of promotions is the other way round: first asked, first served, over all projects."""
    furnish(furnished, project_id="other")
    with furnished.begin() as tx:
        tx.models.add(a_model(7, at=later(5)))
        tx.promotions.add(a_promotion(1, at=later(1)))
        tx.promotions.add(a_promotion(2, at=later(2)))
        tx.promotions.add(a_promotion(3, at=later(-1), project_id="other"))
    with furnished.read() as tx:
        assert [model.digest for model in tx.models.all(PROJECT)] == [digest(7), digest(1), digest(0)]
        assert [promotion.id for promotion in tx.promotions.of_project(PROJECT)] == ["prom_2", "prom_1"]
        assert [promotion.id for promotion in tx.promotions.queued()] == ["prom_3", "prom_1", "prom_2"]


def test_the_latest_prediction_of_an_item(furnished: SqlStore) -> None:
    """By time, not by insertion; None for an item that no model saw."""
    with furnished.begin() as tx:
        tx.predictions.add(a_prediction(2, at=later(9)))
        tx.predictions.add(a_prediction(1, at=later(3)))
        latest = tx.predictions.latest_of(PROJECT, digest(0))
        assert latest is not None
        assert latest.id == a_prediction(2).id
        assert tx.predictions.latest_of(PROJECT, digest(1)) is None


def test_counts_of_predictions(furnished: SqlStore) -> None:
    """All, those that go to a person, and those drawn by lot; of one project."""
    furnish(furnished, project_id="other")
    with furnished.begin() as tx:
        assert tx.predictions.counts(PROJECT) == {"predictions": 0, "routed": 0, "audits": 0}
        for number, stage in enumerate([None, None, Stage.ANNOTATE, Stage.ANNOTATE, Stage.ANNOTATE, Stage.AUDIT]):
            tx.predictions.add(a_prediction(number, stage=stage))
        tx.predictions.add(a_prediction(project_id="other"))
        assert tx.predictions.counts(PROJECT) == {"predictions": 6, "routed": 4, "audits": 1}


def test_a_split_is_set(furnished: SqlStore) -> None:
    """With the group that it was decided for."""
    with furnished.begin() as tx:
        tx.items.set_split(PROJECT, digest(0), Split.VAL, "camera-3")
        assert tx.items.get(PROJECT, digest(0)) == replace(an_item(0), split=Split.VAL, group="camera-3")


# --- the feed of embeddings ----------------------------------------------------------------------------


def test_embeddings_follow_a_cursor(furnished: SqlStore) -> None:
    """Of one model, in the order of the commits, each once."""
    for number in range(5):
        with furnished.begin() as tx:
            tx.predictions.add(a_prediction(number, item=number % 3, model=number % 2))
    with furnished.read() as tx:
        first = tx.predictions.embeddings_after(PROJECT, a_model(0).id, 0, 2)
        rest = tx.predictions.embeddings_after(PROJECT, a_model(0).id, first[-1].sequence, 2)
    assert [(found.prediction_id, found.item_digest) for found in first + rest] == [
        (a_prediction(number).id, digest(number % 3)) for number in (0, 2, 4)
    ]
    assert all(found.embedding.tobytes() == a_prediction().embedding.tobytes() for found in first)


def test_a_follower_misses_no_embedding(furnished: SqlStore) -> None:
    """However writers overlap, a reader that goes on from its last number sees every prediction once."""
    writing = threading.Event()
    writing.set()
    seen: list[str] = []

    def catch_up(cursor: int) -> int:
        with furnished.read() as tx:
            found = tx.predictions.embeddings_after(PROJECT, a_model(0).id, cursor, 1000)
        seen.extend(embedding.prediction_id for embedding in found)
        return found[-1].sequence if found else cursor

    def follow() -> None:
        cursor = 0
        while writing.is_set():
            cursor = catch_up(cursor)
        catch_up(cursor)

    def write(thread: int) -> None:
        for number in range(15):
            with furnished.begin() as tx:
                tx.predictions.add(a_prediction(thread * 100 + number))

    follower = threading.Thread(target=follow)
    follower.start()
    race(4, write)
    writing.clear()
    follower.join()
    assert sorted(seen) == sorted(a_prediction(thread * 100 + number).id for thread in range(4) for number in range(15))


def test_a_transaction_that_commits_late_is_not_behind_the_cursor(
    cluster: PostgresCluster, postgres_template: str
) -> None:
    """PostgreSQL: what is committed later is numbered later, though it was written first (events too)."""
    name = cluster.new_database(postgres_template)
    store = SqlStore.open(cluster.url(name))
    furnish(store)
    with store.begin() as slow:
        slow.predictions.add(a_prediction(1))
        slow.events.add(an_event("slow.one"))
        with store.begin() as quick:
            quick.predictions.add(a_prediction(2))
            quick.events.add(an_event("quick.one"))
        with store.read() as tx:
            seen = tx.predictions.embeddings_after(PROJECT, a_model().id, 0, 9)
            events = tx.events.after(PROJECT, 0, 9)
    with store.read() as tx:
        seen += tx.predictions.embeddings_after(PROJECT, a_model().id, seen[-1].sequence, 9)
        events += tx.events.after(PROJECT, events[-1].sequence, 9)
    assert [found.prediction_id for found in seen] == [a_prediction(2).id, a_prediction(1).id]
    assert [event.kind for event in events] == ["quick.one", "slow.one"]
    store.close()
    cluster.drop_database(name)


# --- the queue -----------------------------------------------------------------------------------------


ANNOTATE = Queue(Lane(Stage.ANNOTATE).key)


def _look(tx: Transaction, queue: Queue = ANNOTATE, *, at: float = 0.0, limit: int = 9) -> list[Task]:
    return tx.tasks.leasable(PROJECT, queue, person="tok_9", now=later(at), limit=limit)


def _take(store: SqlStore, queue: Queue = ANNOTATE, *, at: float = 0.0, limit: int = 9) -> list[str]:
    with store.begin() as tx:
        found = _look(tx, queue, at=at, limit=limit)
        return [task.id for task in tx.tasks.take(found, now=later(at), limit=limit)]


def test_the_most_urgent_task_comes_first(furnished: SqlStore) -> None:
    """By rank, then age, then id; of one lane, and of one project."""
    furnish(furnished, project_id="other")
    with furnished.begin() as tx:
        tx.tasks.add(a_task(1, priority=0.1))
        tx.tasks.add(a_task(2, priority=0.9, at=later(1)))
        tx.tasks.add(a_task(3, priority=0.9, at=later(0)))
        tx.tasks.add(a_task(7, priority=0.9, at=later(0), stage=Stage.AUDIT))
        tx.tasks.add(a_task(5, priority=0.5))
        tx.tasks.add(a_task(4, priority=0.5))
        tx.tasks.add(a_task(6, priority=1.0, project_id="other"))
    assert _take(furnished) == [a_task(number).id for number in (3, 2, 4, 5, 1)]
    assert _take(furnished, limit=2) == [a_task(number).id for number in (3, 2)]
    assert _take(furnished, Queue(Lane(Stage.AUDIT).key)) == [a_task(7).id]
    assert _take(furnished, Queue("none||")) == []


def test_a_task_is_leasable_when_open_or_run_out(furnished: SqlStore) -> None:
    """A lease runs out at its expiry, to the microsecond; a closed task never comes back."""
    tasks = [a_task(number, priority=1 - number / 10) for number in range(4)]
    leased = [review.leased(task, owner="tok_1", now=NOW, seconds=60) for task in tasks]
    with furnished.begin() as tx:
        for task in tasks:
            tx.tasks.add(task)
        tx.tasks.save(leased[0])
        tx.tasks.save(review.closed(leased[1], owner="tok_1", epoch=1, now=NOW, outcome=Outcome.SUBMITTED))
        tx.tasks.save(review.closed(leased[2], owner="tok_1", epoch=1, now=NOW, outcome=Outcome.SKIPPED))
    assert _take(furnished, at=59.999999) == [tasks[3].id]
    assert _take(furnished, at=60) == [tasks[0].id, tasks[3].id]


def test_tasks_in_hand(furnished: SqlStore) -> None:
    """What one reviewer holds under a live lease, the most urgent first."""
    with furnished.begin() as tx:
        for number, (owner, seconds) in enumerate([("me", 60), ("me", 10), ("you", 60), ("me", 60)]):
            task = a_task(number, priority=number / 10)
            tx.tasks.add(task)
            tx.tasks.save(review.leased(task, owner=owner, now=NOW, seconds=seconds))
        tx.tasks.add(a_task(9))
        assert [task.id for task in tx.tasks.held_by(PROJECT, "me", later(10))] == [a_task(3).id, a_task(0).id]
        assert tx.tasks.held_by(PROJECT, "nobody", NOW) == []


def test_counts_of_tasks(furnished: SqlStore) -> None:
    """By state, each state named; a lease that has run out counts as open."""
    with furnished.begin() as tx:
        assert tx.tasks.counts(PROJECT, NOW) == dict.fromkeys(TaskState, 0)
        for number, seconds in enumerate([None, 10, 60, 60]):
            tx.tasks.add(a_task(number))
            if seconds is not None:
                tx.tasks.save(review.leased(a_task(number), owner="me", now=NOW, seconds=seconds))
        done = review.leased(a_task(3), owner="me", now=NOW, seconds=60)
        tx.tasks.save(review.closed(done, owner="me", epoch=1, now=NOW, outcome=Outcome.SUBMITTED))
        assert tx.tasks.counts(PROJECT, later(10)) == {
            TaskState.OPEN: 2,
            TaskState.LEASED: 1,
            TaskState.DONE: 1,
            TaskState.SKIPPED: 0,
        }


def test_the_queue_is_read_through_its_index(url: str, furnished: SqlStore) -> None:
    """Leasing from a long queue neither scans nor sorts it."""
    engine = engine_for(url)
    statement = (
        "SELECT id FROM tasks WHERE project_id = 'digits' AND state IN ('open', 'leased') "
        "AND lane = 'annotate||' ORDER BY rank, created_at, id LIMIT 5"
    )
    explain = "EXPLAIN QUERY PLAN " if engine.dialect.name == "sqlite" else "EXPLAIN "
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SET enable_seqscan = off")
            connection.exec_driver_sql("SET enable_sort = off")
        plan = " ".join(str(row) for row in connection.exec_driver_sql(explain + statement))
    engine.dispose()
    assert "ix_tasks_queue" in plan
    assert "SORT" not in plan.upper().replace("SORT KEY", "")
    assert "TEMP B-TREE" not in plan


def test_racing_reviewers_never_get_the_same_task(furnished: SqlStore) -> None:
    """Eight threads empty a queue of forty: each task is leased exactly once."""
    with furnished.begin() as tx:
        for number in range(40):
            tx.tasks.add(a_task(number))

    def work(number: int) -> list[str]:
        mine: list[str] = []
        while True:
            with furnished.begin() as tx:
                found = tx.tasks.take(_look(tx, limit=40), now=NOW, limit=3)
                for task in found:
                    tx.tasks.save(review.leased(task, owner=f"tok_{number}", now=NOW, seconds=60))
            if not found:
                return mine
            mine += [task.id for task in found]

    taken = race(8, work)
    assert sorted(task for mine in taken if isinstance(mine, list) for task in mine) == sorted(
        a_task(number).id for number in range(40)
    )


def test_locked_tasks_are_skipped_not_waited_for(cluster: PostgresCluster, postgres_template: str) -> None:
    """PostgreSQL: while one transaction holds the most urgent task, another gets the next at once."""
    name = cluster.new_database(postgres_template)
    store = SqlStore.open(cluster.url(name))
    furnish(store)
    with store.begin() as tx:
        tx.tasks.add(a_task(1, priority=0.9))
        tx.tasks.add(a_task(2, priority=0.1))
    with store.begin() as first, store.begin() as second:
        taken = [tx.tasks.take(_look(tx), now=NOW, limit=1)[0].id for tx in (first, second)]
        assert [task.id for task in second.tasks.take(_look(second), now=NOW, limit=9)] == [a_task(2).id]
    assert taken == [a_task(1).id, a_task(2).id]
    store.close()
    cluster.drop_database(name)


def test_a_save_with_an_old_epoch_is_refused(furnished: SqlStore) -> None:
    """Even where the caller never read the task again: the fence is in the statement."""
    first = review.leased(a_task(), owner="late", now=NOW, seconds=60)
    second = review.leased(first, owner="new", now=later(60), seconds=60)
    with furnished.begin() as tx:
        tx.tasks.add(a_task())
        tx.tasks.save(first)
        tx.tasks.save(second)
    for stale in (first, replace(first, state=TaskState.DONE, expires_at=None)):
        with pytest.raises(StaleLease), furnished.begin() as tx:
            tx.tasks.save(stale)
    with furnished.read() as tx:
        assert tx.tasks.get(second.id) == second


def test_a_closed_task_cannot_be_reopened_by_a_late_save(furnished: SqlStore) -> None:
    """A heartbeat that was computed before the submission and arrives after it changes nothing."""
    leased = review.leased(a_task(), owner="me", now=NOW, seconds=60)
    closed = review.closed(leased, owner="me", epoch=1, now=NOW, outcome=Outcome.SUBMITTED)
    with furnished.begin() as tx:
        tx.tasks.add(a_task())
        tx.tasks.save(leased)
        tx.tasks.save(closed)
    with pytest.raises(AlreadySubmitted), furnished.begin() as tx:
        tx.tasks.save(review.renewed(leased, owner="me", epoch=1, now=NOW, seconds=99))
    with furnished.read() as tx:
        assert tx.tasks.get(closed.id) == closed


def test_for_update_holds_others_off(furnished: SqlStore) -> None:
    """Threads that read, count up and save lose no step: each waits for the one before."""
    with furnished.begin() as tx:
        tx.tasks.add(a_task())

    def lease(number: int) -> int:
        with furnished.begin() as tx:
            task = tx.tasks.for_update(a_task().id)
            leased = review.leased(task, owner=f"tok_{number}", now=later(task.epoch * 60), seconds=60)
            tx.tasks.save(leased)
            return leased.epoch

    assert sorted(epoch for epoch in race(8, lease) if isinstance(epoch, int)) == list(range(1, 9))


# --- the champion ----------------------------------------------------------------------------------------


def test_the_champion_moves_only_from_where_it_was_expected(furnished: SqlStore) -> None:
    """From nothing, too."""
    first, second = a_model(0).id, a_model(1).id
    with furnished.begin() as tx:
        assert not tx.projects.move_champion(PROJECT, expected=second, to=first)
        assert tx.projects.move_champion(PROJECT, expected=None, to=first)
        assert not tx.projects.move_champion(PROJECT, expected=None, to=second)
        assert tx.projects.move_champion(PROJECT, expected=first, to=second)
        assert not tx.projects.move_champion("nope", expected=None, to=second)
    with furnished.read() as tx:
        assert tx.projects.get(PROJECT).champion_id == second


def test_racing_promoters_have_one_winner(furnished: SqlStore) -> None:
    """Of eight that expect the same champion one succeeds, ten times over, and its model serves."""
    with furnished.begin() as tx:
        for number in range(2, 10):
            tx.models.add(a_model(number))
    expected = None
    for _ in range(10):

        def promote(number: int, expected: str | None = expected) -> str | None:
            model = a_model(number + 2).id
            with furnished.begin() as tx:
                return model if tx.projects.move_champion(PROJECT, expected=expected, to=model) else None

        winners = [model for model in race(8, promote) if isinstance(model, str)]
        with furnished.read() as tx:
            champion = tx.projects.get(PROJECT).champion_id
        # A promoter whose model serves already would win against itself: start each round from a neutral one.
        assert winners == [champion]
        expected = a_model(0).id
        with furnished.begin() as tx:
            assert tx.projects.move_champion(PROJECT, expected=champion, to=expected)


# --- Idempotency-Keys --------------------------------------------------------------------------------------


def test_a_key_is_fresh_once(furnished: SqlStore) -> None:
    """First fresh, then in flight, then answered for ever; per token."""
    with furnished.begin() as tx:
        assert tx.keys.claim("tok_1", ODD, digest(1), NOW) == Claim(fresh=True)
    with furnished.begin() as tx, pytest.raises(IdempotencyInFlight):
        tx.keys.claim("tok_1", ODD, digest(1), later(59.9))
    with furnished.begin() as tx:
        assert tx.keys.claim("tok_2", ODD, digest(1), NOW) == Claim(fresh=True)
        tx.predictions.add(a_prediction())
        tx.keys.finish("tok_1", ODD, a_prediction().id)
    with furnished.begin() as tx:
        answered = tx.keys.claim("tok_1", ODD, digest(1), later(10_000))
    assert answered == Claim(fresh=False, prediction_id=a_prediction().id)


def test_a_key_with_another_request_is_refused(furnished: SqlStore) -> None:
    """Whether the first is still running, dead or answered."""
    with furnished.begin() as tx:
        tx.keys.claim("tok_1", "key", digest(1), NOW)
    for at in (0, 61):
        with furnished.begin() as tx, pytest.raises(IdempotencyMismatch):
            tx.keys.claim("tok_1", "key", digest(2), later(at))
    with furnished.begin() as tx:
        tx.predictions.add(a_prediction())
        tx.keys.finish("tok_1", "key", a_prediction().id)
    with furnished.begin() as tx, pytest.raises(IdempotencyMismatch):
        tx.keys.claim("tok_1", "key", digest(2), NOW)


def test_an_abandoned_key_is_free(furnished: SqlStore) -> None:
    """For the same request or another; an answered key cannot be abandoned."""
    with furnished.begin() as tx:
        tx.keys.claim("tok_1", "key", digest(1), NOW)
        tx.keys.abandon("tok_1", "key")
        assert tx.keys.claim("tok_1", "key", digest(2), NOW).fresh
        tx.predictions.add(a_prediction())
        tx.keys.finish("tok_1", "key", a_prediction().id)
        tx.keys.abandon("tok_1", "key")
        assert tx.keys.claim("tok_1", "key", digest(2), NOW).prediction_id == a_prediction().id


def test_a_dead_claim_is_taken_over_and_cannot_answer(furnished: SqlStore) -> None:
    """After 60 s another takes the key; if the first lives after all, its prediction is rolled back."""
    with furnished.begin() as tx:
        tx.keys.claim("tok_1", "key", digest(1), NOW)
        assert tx.keys.claim("tok_1", "key", digest(1), later(60)).fresh
        with pytest.raises(IdempotencyInFlight):
            tx.keys.claim("tok_1", "key", digest(1), later(61))
    with furnished.begin() as tx:
        tx.predictions.add(a_prediction(2))
        tx.keys.finish("tok_1", "key", a_prediction(2).id)
    with pytest.raises(Conflict), furnished.begin() as tx:
        tx.predictions.add(a_prediction(1))
        tx.keys.finish("tok_1", "key", a_prediction(1).id)
    with furnished.read() as tx:
        assert [found.id for found in tx.predictions.page(PROJECT, after=None, limit=9)] == [a_prediction(2).id]


def test_of_fifty_identical_requests_one_is_fresh(furnished: SqlStore) -> None:
    """The others are told that it is running; also when a dead claim is taken over."""
    for at in (0, 60):

        def claim(_: int, at: int = at) -> Claim:
            with furnished.begin() as tx:
                return tx.keys.claim("tok_1", "key", digest(1), later(at))

        results = race(50, claim)
        assert [result for result in results if isinstance(result, Claim)] == [Claim(fresh=True)]
        assert sum(isinstance(result, IdempotencyInFlight) for result in results) == 49


def test_of_fifty_retries_each_gets_the_answer_or_waits(furnished: SqlStore) -> None:
    """Requests that claim, write and answer at once make one prediction and all see that one."""

    def request(number: int) -> str | None:
        with furnished.begin() as tx:
            claim = tx.keys.claim("tok_1", "key", digest(1), NOW)
        if not claim.fresh:
            return claim.prediction_id
        with furnished.begin() as tx:
            tx.predictions.add(a_prediction(number))
            tx.keys.finish("tok_1", "key", a_prediction(number).id)
        return a_prediction(number).id

    answers = {answer for answer in race(50, request) if isinstance(answer, str)}
    with furnished.read() as tx:
        made = [found.id for found in tx.predictions.page(PROJECT, after=None, limit=99)]
    assert len(made) == 1
    assert answers == set(made)


# --- transactions ------------------------------------------------------------------------------------------


class _Crash(Exception):
    pass


def test_a_block_that_raises_leaves_nothing(furnished: SqlStore) -> None:
    """Neither rows nor numbered rows; the error comes through unchanged."""
    with pytest.raises(_Crash), furnished.begin() as tx:
        tx.items.add(an_item(8))
        tx.predictions.add(a_prediction(item=8))
        tx.tasks.add(a_task(item=8, prediction=0))
        tx.events.add(an_event())
        tx.projects.move_champion(PROJECT, expected=None, to=a_model(0).id)
        raise _Crash
    with furnished.read() as tx:
        assert tx.projects.get(PROJECT).champion_id is None
        assert tx.predictions.counts(PROJECT)["predictions"] == 0
        assert tx.predictions.embeddings_after(PROJECT, a_model(0).id, 0, 9) == []
        assert tx.events.after(PROJECT, 0, 9) == []
        with pytest.raises(NotFound):
            tx.items.get(PROJECT, digest(8))


def test_a_reading_transaction_cannot_write(furnished: SqlStore) -> None:
    """Whatever it tries; the same connections write again afterwards."""
    writes: list[Callable[[Transaction], object]] = [
        lambda tx: tx.items.add(an_item(8)),
        lambda tx: tx.projects.move_champion(PROJECT, expected=None, to=a_model(0).id),
        lambda tx: tx.events.add(an_event()),
    ]
    for write in writes:
        with pytest.raises(ReadOnlyTransaction), furnished.read() as tx:
            write(tx)
    with furnished.begin() as tx:
        assert tx.items.add(an_item(8))


def test_a_reading_transaction_sees_one_moment(furnished: SqlStore) -> None:
    """What is committed while it runs stays invisible to it."""
    with furnished.read() as tx:
        before = tx.items.page(PROJECT, after=None, limit=9)
        with furnished.begin() as other:
            other.items.add(an_item(8))
        assert tx.items.page(PROJECT, after=None, limit=9) == before


def test_reading_goes_on_while_another_writes(furnished: SqlStore) -> None:
    """A writer blocks no reader, who sees the last committed state."""
    with furnished.begin() as tx:
        tx.items.add(an_item(8))
        with furnished.read() as other, pytest.raises(NotFound):
            other.items.get(PROJECT, digest(8))


def test_racing_writers_wait_for_each_other(furnished: SqlStore) -> None:
    """Transactions that read before they write succeed, all of them, without a retry by the caller."""

    def write(number: int) -> int:
        with furnished.begin() as tx:
            tx.items.page(PROJECT, after=None, limit=9)
            tx.items.add(an_item(100 + number))
            tx.events.add(an_event())
        return number

    assert sorted(result for result in race(20, write) if isinstance(result, int)) == list(range(20))


# --- the installation's secret ---------------------------------------------------------------------------


def test_the_secret_is_made_once(url: str, store: SqlStore) -> None:
    """32 bytes, the same after a restart and for everybody who asks at the same moment."""
    stores = [SqlStore.open(url) for _ in range(4)]
    secrets = race(4, lambda number: stores[number].secret())
    assert secrets == [store.secret()] * 4
    assert len(store.secret()) == 32
    for opened in stores:
        opened.close()


def test_two_installations_have_two_secrets(store: SqlStore, tmp_path: Path) -> None:
    """Nobody can foresee another's audit lottery."""
    other = SqlStore.open(f"sqlite:///{tmp_path / 'other.db'}")
    other.migrate()
    assert other.secret() != store.secret()
    other.close()


# --- schema, opening, faults ---------------------------------------------------------------------------------


def _catalogue(url: str) -> list[str]:
    """All that the database knows of its tables: columns, keys, checks, indices, in any order."""
    engine = engine_for(url)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            made = connection.exec_driver_sql(
                "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'alembic%'"
            )
            lines = [line.strip().rstrip(",") for sql in made.scalars() for line in _with_table(sql)]
        else:
            lines = [
                " ".join(str(value) for value in row)
                for query in (
                    "SELECT table_name, column_name, data_type, collation_name, is_nullable, is_identity "
                    "FROM information_schema.columns WHERE table_schema = 'public'",
                    "SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint "
                    "WHERE connamespace = 'public'::regnamespace",
                    "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
                )
                for row in connection.exec_driver_sql(query)
                if "alembic" not in str(row)
            ]
    engine.dispose()
    return sorted(lines)


def _with_table(sql: str) -> list[str]:
    """The lines of a CREATE statement, each with its first line, so that equal columns stay apart. A column that was
    added later stands in the line of the one before it, with the parenthesis that ends the table."""
    head, *lines = sql.replace('"', "").removesuffix(")").rstrip().splitlines()
    rest = [column for line in lines for column in re.split(r", (?=\w+ [A-Z])", line) if column.strip()]
    return [head, *(f"{head} {line.strip()}" for line in rest)]


def test_migrations_end_exactly_at_the_schema(empty_url: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Alembic sees no difference, and the catalogue is the one that the schema itself would make."""
    store = SqlStore.open(empty_url)
    store.migrate()
    engine = engine_for(empty_url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    migrated = _catalogue(empty_url)
    assert store.check() == []
    store.close()
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("DROP SCHEMA public CASCADE")
            connection.exec_driver_sql("CREATE SCHEMA public")
        else:
            metadata.drop_all(connection)
        metadata.create_all(connection)
    engine.dispose()
    assert migrated == _catalogue(empty_url)


def test_migrating_again_changes_nothing(furnished: SqlStore) -> None:
    """A restart finds everything as it was."""
    furnished.migrate()
    with furnished.read() as tx:
        assert tx.projects.get(PROJECT) == a_project()
    assert furnished.check() == []


def test_what_is_migrated_is_known_without_reading_the_migrations(
    furnished: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every process of a service migrates as it starts, and finds nothing to do."""
    monkeypatch.setattr("alembic.command.upgrade", None)
    furnished.migrate()


def test_processes_that_start_together_migrate_once(empty_url: str) -> None:
    """All succeed, on a database without tables, and agree on the secret."""
    program = (
        "import sys\n"
        "from loop.store.database import SqlStore\n"
        "store = SqlStore.open(sys.argv[1])\n"
        "store.migrate()\n"
        "sys.stdout.write(store.secret().hex())\n"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", program, empty_url], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    secrets = [process.communicate()[0] for process in started]
    assert [process.returncode for process in started] == [0, 0]
    assert len(set(secrets)) == 1
    assert len(secrets[0]) == 64


def test_a_database_of_a_newer_version_is_refused(empty_url: str) -> None:
    """Nothing is changed; the hint says what to install."""
    store = SqlStore.open(empty_url)
    store.migrate()
    engine = engine_for(empty_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()
    with pytest.raises(SettingsError, match="newest version"):
        store.migrate()
    assert re.match("the schema is at revision 9999, not 0", store.check()[0])
    store.close()


def test_a_database_without_tables_says_how_to_make_them(empty_url: str) -> None:
    """No traceback of the driver: what to start."""
    store = SqlStore.open(empty_url)
    with pytest.raises(Unavailable, match="askance up"), store.read() as tx:
        tx.projects.all()
    with pytest.raises(Unavailable, match="askance up"):
        store.secret()
    store.close()


@pytest.mark.parametrize(
    "url",
    [
        "what is this hunter2",
        "mysql://root:hunter2@localhost/askance",
        "postgresql+asyncpg://root:hunter2@localhost/askance",
        "sqlite://",
        "sqlite:///:memory:",
        "sqlite:////no/such/folder/askance.db",
    ],
)
def test_a_url_that_names_no_usable_database_is_a_settings_error(url: str) -> None:
    """With a hint, and without the password."""
    with pytest.raises(SettingsError) as caught:
        SqlStore.open(url)
    assert caught.value.hint
    assert "hunter2" not in str(caught.value)


def test_an_unreachable_server_is_unavailable_without_its_credentials() -> None:
    """The text says where it was looked for, and neither who nor with which password."""
    with pytest.raises(Unavailable) as caught:
        SqlStore.open("postgresql+psycopg://somebody:hunter2@127.0.0.1:1/askance")
    assert "127.0.0.1:1/askance" in str(caught.value)
    assert caught.value.hint
    assert "hunter2" not in str(caught.value)
    assert "somebody" not in str(caught.value)


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    """Said at once, at opening."""
    path = tmp_path / "picture.db"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" * 1000)
    with pytest.raises(Unavailable, match="not a sound SQLite file"):
        SqlStore.open(f"sqlite:///{path}")


def test_a_server_that_goes_away_is_unavailable_and_comes_back(
    cluster: PostgresCluster, postgres_template: str
) -> None:
    """PostgreSQL: a cut connection fails its transaction and is replaced for the next."""
    name = cluster.new_database(postgres_template)
    store = SqlStore.open(cluster.url(name))
    with pytest.raises(Unavailable), store.begin() as tx:
        tx.projects.add(a_project())
        cluster.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        tx.projects.add(a_project("other"))
    with store.read() as tx:
        assert tx.projects.all() == []
    store.close()
    cluster.drop_database(name)


def test_a_connection_that_the_server_ended_while_nobody_used_it_costs_nobody_anything(
    cluster: PostgresCluster, postgres_template: str
) -> None:
    """PostgreSQL: however short ago it worked, the next transaction has another, and no error."""
    name = cluster.new_database(postgres_template)
    store = SqlStore.open(cluster.url(name))
    for project in ("first", "second"):
        with store.begin() as tx:
            tx.projects.add(a_project(project))
        cluster.execute(f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'")
    with store.read() as tx:
        assert [project.id for project in tx.projects.all()] == ["first", "second"]
    store.close()
    cluster.drop_database(name)


def test_sqlite_is_set_for_durability(tmp_path: Path) -> None:
    """Commits are synced, keys are enforced, a lock is waited for, and WAL is used where it is sound."""
    url = f"sqlite:///{tmp_path / 'askance.db'}"
    SqlStore.open(url).close()
    engine = engine_for(url)
    with engine.connect() as connection:
        settings = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("synchronous", "foreign_keys", "busy_timeout", "journal_mode")
        }
    assert settings["synchronous"] == 2  # FULL
    assert settings["foreign_keys"] == 1
    assert settings["busy_timeout"] == 30_000
    assert engine.dialect.dbapi is not None
    safe = engine.dialect.dbapi.sqlite_version_info >= (3, 51, 3)
    assert settings["journal_mode"] == ("wal" if safe else "delete")
    engine.dispose()


def test_check_finds_a_dangling_reference(tmp_path: Path) -> None:
    """What a foreign tool did to the file without the keys is reported, row and table."""
    path = tmp_path / "askance.db"
    store = SqlStore.open(f"sqlite:///{path}")
    store.migrate()
    furnish(store)
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM projects")
    engine.dispose()
    assert any("of items refers to a row of projects" in problem for problem in store.check())
    store.close()


def test_a_closed_store_leaves_one_sqlite_file(tmp_path: Path) -> None:
    """The write-ahead log is folded in: the file can be copied."""
    path = tmp_path / "askance.db"
    store = SqlStore.open(f"sqlite:///{path}")
    store.migrate()
    furnish(store)
    store.close()
    assert [file.name for file in tmp_path.iterdir()] == ["askance.db"]
