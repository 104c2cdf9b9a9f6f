"""Calls that wait for a person: pure decisions."""

import math
from dataclasses import asdict, replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.errors import Invalid
from loop.domain.policy.gate import Fallback, GateRules, Review, gate_of
from loop.domain.policy.queue_rules import QueueRules
from loop.domain.review.queueing import (
    adjudication,
    alarmed,
    awaited,
    awaited_first,
    awaited_like,
    placed,
    quality_task,
)
from loop.domain.review.tasks import open_anew
from loop.domain.routing import Action, route
from loop.domain.stage import Stage
from tests.test_queueing import NOW, a_task, ordering, tasks
from tests.test_routing import policy, unit

seconds = st.floats(0, 3600)
waits = st.floats(allow_nan=True, allow_infinity=True)


def waited_for(task, by: float):
    return awaited(task, answer_by=NOW + timedelta(seconds=by), start_by=NOW + timedelta(seconds=by - 10))


# --- the order --------------------------------------------------------------------------------------------


@given(ordering(), tasks, tasks, seconds)
def test_what_a_caller_waits_for_is_before_all_others(rules, one, other, by):
    """Whatever the weights, the risks and the ages are, also where the other is overdue."""
    rules = replace(rules, due_seconds=dict.fromkeys(Stage, 1.0), overdue_weight=1000.0)
    awaits = waited_for(placed(one, rules, (), begins=one.created_at), by)
    late = alarmed(placed(other, rules, (), begins=NOW), rules, NOW + timedelta(days=1))
    assert awaits.rank < late.rank


def test_not_even_the_largest_head_start_is_before_it():
    """That which all limits of the rules together allow."""
    most = 1000.0
    rules = QueueRules(
        risk_weight=most, age_weight=0.001, deadline_weight=0.0, overdue_weight=most, horizon_seconds=316_224_000.0,
        stage_boosts={Stage.ANNOTATE: most}, source_boosts={"": most}, due_seconds={Stage.ANNOTATE: 1.0},
    )  # fmt: skip
    task = placed(a_task(priority=1.0), rules, (), begins=NOW)
    assert waited_for(a_task(1), 3600).rank < alarmed(task, rules, NOW + timedelta(days=1)).rank


@given(st.integers(0, 3600), st.integers(0, 3600))
def test_among_those_the_earlier_deadline_comes_first(one, other):
    """To the second."""
    ranks = [waited_for(a_task(), by).rank for by in (one, other)]
    assert (ranks[0] < ranks[1]) == (one < other)


@given(ordering(), tasks, st.lists(seconds, min_size=1, max_size=4))
def test_the_usual_rank_is_kept_however_often_somebody_waits(rules, task, deadlines):
    """So that the task can go back to exactly where it was."""
    usual = placed(task, rules, (), begins=task.created_at)
    known = usual
    for by in deadlines:
        known = waited_for(known, by)
    assert known.usual_rank == usual.rank


def test_a_due_time_that_passes_meanwhile_counts_in_the_usual_rank():
    """Overdue work that somebody waits for is no more urgent than that, and overdue when it goes back."""
    rules = QueueRules(due_seconds={Stage.ANNOTATE: 5.0})
    usual = placed(a_task(), rules, (), begins=NOW)
    known = waited_for(usual, 60)
    later = NOW + timedelta(seconds=6)
    overdue = alarmed(known, rules, later)
    assert overdue.rank == known.rank
    assert overdue.usual_rank == alarmed(usual, rules, later).rank < usual.rank


def test_the_next_task_of_a_work_is_in_the_same_hurry_while_the_caller_waits():
    """An adjudication and a QA; after the deadline they are ordinary."""
    first = waited_for(a_task(), 60)
    for make in (adjudication, quality_task):
        for at, hurries in ((59, True), (60, False)):
            task = make(first, QueueRules(), (), now=NOW + timedelta(seconds=at))
            assert (task.answer_by == first.answer_by) is hurries
            assert (task.usual_rank is not None) is hurries
    plain = a_task(1)
    assert awaited_like(plain, a_task(), NOW) == plain


def test_what_is_opened_anew_nobody_waits_for():
    """Its caller has had an answer."""
    anew = open_anew(waited_for(a_task(), 60))
    assert (anew.answer_by, anew.start_by, anew.usual_rank) == (None, None, None)


@given(st.lists(st.none() | st.integers(0, 9), max_size=12))
def test_a_batch_begins_with_what_callers_wait_for(deadlines):
    """By their deadlines; the others follow as they were; none is lost."""
    given_ = [a_task(n) if by is None else waited_for(a_task(n), by) for n, by in enumerate(deadlines)]
    batch = awaited_first(given_)
    waited = [task.answer_by for task in batch if task.answer_by is not None]
    assert waited == sorted(waited)
    assert [task.answer_by is None for task in batch] == sorted(task.answer_by is None for task in batch)
    assert [task.id for task in batch if task.answer_by is None] == [t.id for t in given_ if t.answer_by is None]
    assert {task.id for task in batch} == {task.id for task in given_}


# --- the rules --------------------------------------------------------------------------------------------


@given(waits, st.floats(1, 3600))
def test_a_call_waits_as_long_as_it_may(wait, most):
    """From 0 to the most, both included; anything else is refused with what can be."""
    rules = GateRules(max_wait_seconds=most)
    if math.isfinite(wait) and 0 <= wait <= most:
        assert rules.checked_wait(wait) == wait
    else:
        with pytest.raises(Invalid) as refused:
            rules.checked_wait(wait)
        assert "wait from 0 to" in refused.value.hint


@given(st.sampled_from(Fallback), st.floats(1, 3600), seconds)
def test_rules_come_back_from_plain_values(fallback, most, least):
    """And what is left out has its default."""
    rules = GateRules(fallback=fallback, max_wait_seconds=most, min_review_seconds=least)
    assert gate_of(asdict(rules)) == rules
    assert gate_of({}) == GateRules()


@pytest.mark.parametrize(
    "bad",
    [
        {"max_wait_seconds": 0.0},
        {"max_wait_seconds": 3601.0},
        {"max_wait_seconds": math.nan},
        {"min_review_seconds": -1.0},
        {"min_review_seconds": math.inf},
        {"fallback": "hope"},
    ],
)
def test_rules_that_cannot_be_are_refused(bad):
    """With what can be."""
    with pytest.raises(Invalid) as refused:
        gate_of(bad)
    assert refused.value.hint


# --- who looks ----------------------------------------------------------------------------------------------


@given(risk=unit, threshold=unit, rate=unit, drawn=st.booleans(), review=st.sampled_from(Review))
def test_a_caller_may_ask_for_a_person_or_for_none(risk, threshold, rate, drawn, review):
    """In place of the risk, never of the lot, whose probability stays; each cause is named."""
    decision = route(risk=risk, policy=policy(threshold, rate), audit_drawn=drawn, review=review)
    needed = review is Review.ALWAYS or (review is Review.AUTO and risk >= threshold)
    codes = {reason.code for reason in decision.reasons}
    assert decision.needs_person == needed
    assert (decision.action is Action.REVIEW) == (needed or drawn)
    assert decision.inclusion_probability == (1.0 if needed else rate)
    assert (decision.stage is Stage.AUDIT) == ("audit-lot" in codes) == drawn
    assert ("review-requested" in codes) == (review is Review.ALWAYS)
    assert ("review-declined" in codes) == (review is Review.NEVER)
    assert codes


@given(risk=unit, threshold=unit, rate=unit, drawn=st.booleans(), review=st.sampled_from(Review))
def test_an_upload_asks_for_an_image_once(risk, threshold, rate, drawn, review):
    """Whatever its risk, and whoever wants a person; the lottery draws all the same."""
    decision = route(risk=risk, policy=policy(threshold, rate), audit_drawn=drawn, review=review, asked_before=True)
    assert [reason.code for reason in decision.reasons] == ["asked-before", *(["audit-lot"] if drawn else [])]
    assert (decision.stage is Stage.AUDIT) == (decision.action is Action.REVIEW) == drawn
    assert decision.inclusion_probability == rate
