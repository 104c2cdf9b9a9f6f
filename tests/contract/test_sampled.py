"""Predictions that came to people, and all that they stand for, on both databases."""

from dataclasses import replace
from datetime import UTC, date

import pytest

from loop.domain.items.annotation import AnnotationResult
from loop.domain.ports import Store
from loop.domain.prediction import Detection
from loop.domain.production.sampled import Answering, Crowd, Sampled
from loop.domain.review.qa import AnswerStanding, HeldAnswer
from loop.domain.review.tasks import Outcome, TaskState
from loop.domain.stage import Stage
from tests.contract.records import (
    NOW,
    ODD,
    PROJECT,
    a_job,
    a_model,
    a_prediction,
    a_submission,
    a_task,
    a_truth,
    digest,
    furnish,
    later,
)

MODEL = a_model(0).id


@pytest.fixture
def filled(store: Store) -> Store:
    """Predictions of six items a second apart: 0 audited and answered, 1 open, 2 given up by who looked, 3 accepted,
    4 routed and answered, but to be done again; and an audit by another model."""
    furnish(store, items=6, models=2)
    stages = [Stage.AUDIT, Stage.ANNOTATE, Stage.ANNOTATE, None, Stage.ANNOTATE]
    with store.begin() as tx:
        for number, stage in enumerate(stages):
            tx.predictions.add(a_prediction(number, item=number, at=later(number), stage=stage))
        tx.predictions.add(a_prediction(9, item=5, model=1, at=later(9)))
        for number in (0, 1, 2, 4):
            task = a_task(number, item=number, prediction=number)
            state = {0: TaskState.DONE, 2: TaskState.SKIPPED}.get(number, TaskState.OPEN)
            if state is not TaskState.OPEN:
                task = replace(task, state=state, owner="tok_1", epoch=1)
            tx.tasks.add(replace(task, round=2 if number == 4 else task.round))
            said = a_submission(task, number, at=later(100 + number))
            if number == 2:
                tx.submissions.add(replace(said, outcome=Outcome.SKIPPED, settles=False))
            elif number != 1:
                tx.submissions.add(replace(said, settles=True))
        tx.truths.add(a_truth(item=0))
        tx.truths.add(replace(a_truth(2, item=0), shapes=()))
        tx.truths.add(a_truth(item=4))
    return store


def sampled(store: Store, limit: int = 10, since: float = -1e6, until: float = 1e6) -> list[Sampled]:
    with store.read() as tx:
        return tx.sampled.newest(PROJECT, MODEL, since=later(since), until=later(until), limit=limit)


def test_those_that_came_to_people_newest_first(filled: Store) -> None:
    """Of this model version alone; accepted ones are not among them."""
    assert [one.item_digest for one in sampled(filled)] == [digest(n) for n in (4, 2, 1, 0)]
    assert [one.item_digest for one in sampled(filled, limit=2)] == [digest(4), digest(2)]
    assert [one.item_digest for one in sampled(filled, since=1)] == [digest(n) for n in (4, 2, 1)]
    assert [one.item_digest for one in sampled(filled, until=2)] == [digest(n) for n in (1, 0)]


def test_how_far_people_are_with_each(filled: Store) -> None:
    """What is to be done again is not answered, whatever was said before."""
    states = {one.item_digest: one.answering for one in sampled(filled)}
    assert states == {
        digest(0): Answering.SETTLED,
        digest(1): Answering.WAITING,
        digest(2): Answering.CLOSED,
        digest(4): Answering.WAITING,
    }


def test_an_answered_one_comes_with_the_newest_truth_of_its_item(filled: Store) -> None:
    """And with what was decided of it."""
    *others, audited = sampled(filled)
    made = a_prediction(0)
    assert audited.truth == () and audited.settled_at == later(100).astimezone(UTC)
    assert (audited.prediction_id, audited.created_at) == (made.id, NOW.astimezone(UTC))
    assert (audited.detections, audited.signals, audited.source) == (made.detections, made.signals, ODD)
    assert (audited.risk, audited.inclusion, audited.audit_rate) == (1 / 3, 1e-9, 1e-9)
    assert audited.audit_drawn and not any(one.audit_drawn for one in others)
    assert all(one.truth is None and one.settled_at is None for one in others)


def test_an_answer_that_waits_for_qa_is_not_closed(filled: Store) -> None:
    """Nobody works on its task any more, but it can become the truth."""
    held = HeldAnswer(
        work_id=a_task(2).work_id, project_id=PROJECT, item_digest=digest(2), lot_id=None, round=1,
        task_id=a_task(2).id, author="tok", submission_id="sub_00002", submission_ids=("sub_00002",), shapes=(),
        standing=AnswerStanding.IN_QA, created_at=NOW,
    )  # fmt: skip
    with filled.begin() as tx:
        tx.held_answers.save(held)
    assert {one.item_digest: one.answering for one in sampled(filled)}[digest(2)] is Answering.WAITING


def test_the_population_is_every_prediction_of_the_window(filled: Store) -> None:
    """Oldest first, from `since` on and before `until`; labels each once."""
    with filled.begin() as tx:
        twice = (Detection("seven", 0.5, (0, 0, 1, 1)), Detection("seven", 0.4, (2, 2, 3, 3)))
        tx.predictions.add(replace(a_prediction(20, item=5, at=later(4.5)), detections=twice))
    with filled.read() as tx:
        window = list(tx.sampled.population(PROJECT, MODEL, since=later(1), until=later(5)))
        assert list(tx.sampled.population(PROJECT, MODEL, since=later(9), until=later(99))) == []
    assert [one.prediction_id for one in window] == [a_prediction(n).id for n in (1, 2, 3, 4, 20)]
    assert [one.labels for one in window] == [frozenset({ODD})] * 4 + [frozenset({"seven"})]
    assert {(one.risk, one.inclusion, one.source) for one in window} == {(1 / 3, 1e-9, ODD)}


def test_those_that_the_lot_alone_could_send_are_known_by_their_risk(filled: Store) -> None:
    """Newest first; what risk or a caller sends to people is not among them, nor what nobody could look at."""
    with filled.begin() as tx:
        for number, (inclusion, risk) in enumerate([(0.02, 0.7), (1.0, 0.9), (0.0, 0.1), (0.02, 0.2)]):
            made = a_prediction(20 + number, item=5, at=later(10 + number))
            decision = replace(made.decision, inclusion_probability=inclusion, risk=risk)
            tx.predictions.add(replace(made, decision=decision))
    with filled.read() as tx:
        assert tx.sampled.drawable(PROJECT, MODEL, since=later(10), limit=9) == [0.2, 0.7]
        assert tx.sampled.drawable(PROJECT, MODEL, since=later(10), limit=1) == [0.2]
        assert tx.sampled.drawable(PROJECT, MODEL, since=later(99), limit=9) == []


def test_those_drawn_come_without_what_was_said(filled: Store) -> None:
    """Newest first, of a span; of the lot alone on request."""
    whole = {"since": later(-9), "until": later(99)}
    with filled.read() as tx:
        drawn = tx.sampled.drawn(PROJECT, MODEL, **whole, audits=False, limit=10)
        assert [one.prediction_id for one in drawn] == [a_prediction(n).id for n in (4, 2, 1, 0)]
        assert tx.sampled.drawn(PROJECT, MODEL, **whole, audits=False, limit=2) == drawn[:2]
        assert tx.sampled.drawn(PROJECT, MODEL, since=later(1), until=later(4), audits=False, limit=9) == drawn[1:3]
        (audit,) = tx.sampled.drawn(PROJECT, MODEL, **whole, audits=True, limit=10)
    assert audit == (a_prediction(0).id, NOW.astimezone(UTC), 1e-9, 1e-9, True)


def test_those_named_are_what_the_newest_are(filled: Store) -> None:
    """But for the signals; who was accepted, or is of nobody, is not among them."""
    newest = sampled(filled)
    with filled.read() as tx:
        named = tx.sampled.named(PROJECT, [*(one.prediction_id for one in newest), a_prediction(3).id, "pred_none"])
        assert tx.sampled.named("other", [one.prediction_id for one in newest]) == []
    assert sorted(named, key=lambda one: one.prediction_id) == sorted(
        (replace(one, signals={}) for one in newest), key=lambda one: one.prediction_id
    )


def test_all_predictions_are_summed_up_by_utc_day_and_source(filled: Store) -> None:
    """Oldest first; those that the lot could not draw are counted, and in no sum."""
    day = 86_400
    with filled.begin() as tx:
        for number, (at, source, risk, rate) in enumerate(
            [(day, "b", 0.5, 0.2), (day, "a", 0.25, 0.1), (day + 1, "a", 0.5, 0.2), (day, "a", 0.5, 0.0)]
        ):
            made = a_prediction(20 + number, item=5, at=later(at))
            decision = replace(made.decision, risk=risk, audit_rate=rate)
            tx.predictions.add(replace(made, source=source, decision=decision))
    # later(0) is the 28th in UTC, and shortly before midnight it is still.
    midnight = NOW.astimezone(UTC).replace(hour=23, minute=59, second=59, microsecond=999_999)
    with filled.begin() as tx:
        tx.predictions.add(a_prediction(30, item=5, at=midnight))
    with filled.read() as tx:
        first, *others = tx.sampled.crowds(PROJECT, MODEL, since=later(0), until=later(2 * day))
        assert tx.sampled.count(PROJECT, MODEL, since=later(0), until=later(2 * day), most=99) == 10
        assert tx.sampled.count(PROJECT, MODEL, since=later(0), until=later(2 * day), most=3) == 3
        assert tx.sampled.crowds(PROJECT, MODEL, since=later(3 * day), until=later(4 * day)) == []
    assert (first.day, first.source, first.count) == (date(2026, 3, 28), ODD, 6)
    assert first.risk == pytest.approx(2.0) and first.squares == pytest.approx(6 / 9) and first.least == 1e-9
    assert others == [
        Crowd(date(2026, 3, 29), "a", 2, 0.75, 0.3125, 0.1),
        Crowd(date(2026, 3, 29), "b", 1, 0.5, 0.25, 0.2),
    ]


def test_the_first_that_came_to_people(filled: Store) -> None:
    """Oldest first, so many of them, from a moment on; bulk annotation is not of callers."""

    def first(since: float = 0.0, limit: int = 9) -> list[str]:
        with filled.read() as tx:
            drawn = tx.sampled.first_drawn(PROJECT, MODEL, since=later(since), limit=limit)
        return [one.prediction_id for one in drawn]

    names = [a_prediction(number).id for number in (0, 1, 2, 4)]
    assert first() == names
    assert first(since=1) == names[1:]
    assert first(limit=2) == names[:2]
    annotate(filled, a_prediction(1).id)
    assert first() == [names[0], *names[2:]]


def test_how_far_people_reach(filled: Store) -> None:
    """How many predictions callers got, seen or not, and the least probability to be seen of any of them."""

    def reach(since: float = 0.0, until: float = 9.0) -> tuple[int, float]:
        with filled.read() as tx:
            return tx.sampled.reach(PROJECT, MODEL, since=later(since), until=later(until))

    assert reach() == (5, 1e-9)
    assert reach(since=1, until=4) == (3, 1e-9)
    assert reach(since=8) == (0, 1.0)
    annotate(filled, a_prediction(3).id)
    assert reach() == (4, 1e-9)


def annotate(store: Store, prediction_id: str) -> None:
    """As if it were of a folder."""
    result = AnnotationResult(job_id="ann_0", position=0, url="/a", item_digest=digest(0), prediction_id=prediction_id)
    with store.begin() as tx:
        tx.annotations.add(a_job())
        tx.annotations.record([result])
