"""What a look at a canary's answers comes to: the decision alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from loop.domain.errors import Invalid
from loop.domain.rollouts.canary import (
    CanaryRules,
    CanaryVerdict,
    Found,
    OnPass,
    OnUndecided,
    canary_rules_of,
    is_taken_back,
    judge,
    passes,
    standing_from_json,
    standing_to_json,
)

BEGAN = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOON = BEGAN + timedelta(hours=1)
LATE = BEGAN + timedelta(hours=49)
RULES = CanaryRules(
    margin=0.1, confidence=0.95, max_hours=48.0, max_answers=500, patience_hours=24.0, on_pass=OnPass.TELL,
    on_undecided=OnUndecided.ROLL_BACK,
)  # fmt: skip


def found(canary: tuple[int, int], champion: tuple[int, int], *, unanswered: tuple[int, int] = (0, 0)) -> Found:
    """failed of all, of each; of half of the traffic, and everybody sees all of it. unanswered: of each, beside."""
    arms = [(True, canary, unanswered[0]), (False, champion, unanswered[1])]
    rows = [
        (is_canary, failed)
        for is_canary, (wrong, count), silent in arms
        for failed in [True] * wrong + [False] * (count - wrong) + [None] * silent
    ]
    order = np.random.default_rng(0).permutation(len(rows))
    mixed = [rows[place] for place in order]
    return Found(
        until=SOON,
        canary=[is_canary for is_canary, _ in mixed],
        inclusion=[1.0] * len(mixed),
        failed=[failed for _, failed in mixed],
        share=0.5,
        least=1.0,
        predictions=len(mixed),
        waiting=0,
    )


FEW = found((1, 10), (1, 10))
WORSE = found((80, 200), (20, 200))
EQUAL = found((20, 400), (20, 400))
CLOSE = found((100, 500), (80, 500))


@pytest.mark.parametrize(
    ("evidence", "now", "verdict"),
    [
        (FEW, SOON, CanaryVerdict.GOING_ON),
        (FEW, LATE, CanaryVerdict.UNDECIDED),
        (WORSE, SOON, CanaryVerdict.WORSE),
        (WORSE, LATE, CanaryVerdict.WORSE),
        (EQUAL, SOON, CanaryVerdict.NOT_WORSE),
        (EQUAL, LATE, CanaryVerdict.NOT_WORSE),
        (CLOSE, SOON, CanaryVerdict.UNDECIDED),
        (found((0, 0), (0, 0)), SOON, CanaryVerdict.GOING_ON),
        (found((0, 0), (0, 0)), LATE, CanaryVerdict.UNDECIDED),
    ],
    ids=[
        "few",
        "few, late",
        "worse",
        "worse, late",
        "equal",
        "equal, late",
        "all answers used up",
        "none",
        "none, late",
    ],
)
def test_each_look_has_one_verdict(evidence, now, verdict):
    """Worse where that is proven; not worse where that is; else it goes on until its time or its answers are up."""
    standing = judge(RULES, evidence, began=BEGAN, before=None, now=now)
    assert standing.verdict is verdict
    assert (standing.passed_at == now) is (verdict is CanaryVerdict.NOT_WORSE)


def test_a_look_tells_its_numbers():
    """Answers and failures of both, the bounds, what is missing, and a sentence with all of it."""
    standing = judge(RULES, WORSE, began=BEGAN, before=None, now=SOON)
    assert (standing.canary.answers, standing.canary.failed, standing.canary.rate) == (200, 80, pytest.approx(0.4))
    assert (standing.champion.answers, standing.champion.failed) == (200, 20)
    assert 0.0 <= standing.low < 0.3 < standing.high
    assert "40.0% (80 of 200) of its answers failed, 10.0% (20 of 200) of the champion's" in standing.words
    assert "confidence 0.95" in standing.words
    few = judge(RULES, FEW, began=BEGAN, before=None, now=SOON)
    assert few.needed is not None and 50 < few.needed < 1000


def test_rates_are_weighted_by_inclusion():
    """A failure that its risk sent to people stands for itself, an audit for ten."""
    evidence = Found(
        until=SOON, canary=[True] * 4 + [False], inclusion=[1.0, 1.0, 0.1, 0.1, 0.1],
        failed=[True, True, False, False, True], share=0.5, least=0.1, predictions=50, waiting=3,
    )  # fmt: skip
    standing = judge(RULES, evidence, began=BEGAN, before=None, now=SOON)
    assert standing.canary.rate == pytest.approx(2 / 22)
    assert (standing.predictions, standing.waiting) == (50, 3)


def test_what_nobody_answers_proves_nothing():
    """It takes no canary back, and lets none pass: there, those of its share count as failures."""
    silent = found((20, 400), (20, 400), unanswered=(200, 200))
    standing = judge(RULES, silent, began=BEGAN, before=None, now=SOON)
    assert (standing.verdict, standing.unanswered) == (CanaryVerdict.GOING_ON, 400)
    assert standing.canary.answers == 400


def test_nothing_is_told_where_some_cannot_come_to_people():
    """Without audits, what passes is never seen: the sentence says what to do, and in the end it is undecided."""
    blind = replace(WORSE, least=0.0)
    standing = judge(RULES, blind, began=BEGAN, before=None, now=SOON)
    assert (standing.verdict, standing.low, standing.high, standing.needed) == (CanaryVerdict.GOING_ON, -1.0, 1.0, None)
    assert "audit_rate" in standing.words
    assert judge(RULES, blind, began=BEGAN, before=None, now=LATE).verdict is CanaryVerdict.UNDECIDED


def test_what_has_passed_ends_only_where_it_is_worse():
    """Neither time nor another margin takes it away, and the moment stays; a proof against it does."""
    passed = judge(RULES, EQUAL, began=BEGAN, before=None, now=SOON)
    later = judge(RULES, CLOSE, began=BEGAN, before=passed, now=LATE)
    assert (later.verdict, later.passed_at) == (CanaryVerdict.NOT_WORSE, SOON)
    assert judge(RULES, WORSE, began=BEGAN, before=later, now=LATE).verdict is CanaryVerdict.WORSE


def test_an_undecided_one_comes_to_what_its_rules_say():
    """Taken back, or accepted as if it were not worse; and then it stays accepted."""
    assert is_taken_back(RULES, CanaryVerdict.UNDECIDED) and not passes(RULES, CanaryVerdict.UNDECIDED)
    kind = replace(RULES, on_undecided=OnUndecided.ACCEPT)
    assert passes(kind, CanaryVerdict.UNDECIDED) and not is_taken_back(kind, CanaryVerdict.UNDECIDED)
    assert is_taken_back(kind, CanaryVerdict.WORSE)
    accepted = judge(kind, FEW, began=BEGAN, before=None, now=LATE)
    assert (accepted.verdict, accepted.passed_at) == (CanaryVerdict.UNDECIDED, LATE)
    again = judge(kind, FEW, began=BEGAN, before=accepted, now=LATE + timedelta(hours=1))
    assert (again.verdict, again.passed_at) == (CanaryVerdict.UNDECIDED, LATE)


def test_a_proof_once_is_a_proof():
    """That the canary did well after it had been proven worse, between two looks, does not hide it."""
    bad, good = found((100, 150), (15, 150)), found((0, 400), (200, 400))
    both = replace(
        bad, canary=[*bad.canary, *good.canary], inclusion=[1.0] * 1100, failed=[*bad.failed, *good.failed],
        predictions=1100,
    )  # fmt: skip
    standing = judge(RULES, both, began=BEGAN, before=None, now=SOON)
    assert standing.verdict is CanaryVerdict.WORSE
    assert standing.low == 0.0 <= standing.high


@pytest.mark.parametrize("evidence", [FEW, WORSE, EQUAL], ids=["few", "worse", "equal"])
def test_standings_and_rules_survive_their_documents(evidence):
    """To the last bit."""
    standing = judge(RULES, evidence, began=BEGAN, before=None, now=SOON)
    assert standing_from_json(standing_to_json(standing)) == standing
    plain = {name: getattr(RULES, name) for name in RULES.__slots__}
    assert canary_rules_of({**plain, "on_pass": "tell", "on_undecided": "roll_back"}) == RULES


@pytest.mark.parametrize(
    "wrong",
    [{"margin": 0.0}, {"margin": 1.0}, {"confidence": 1.0}, {"max_hours": 0.0}, {"max_hours": float("nan")},
     {"max_answers": 0}, {"patience_hours": -1.0}, {"on_pass": "hope"}, {"on_undecided": "hope"}, {"margins": 1}],
    ids=str,
)  # fmt: skip
def test_rules_that_cannot_be_kept_are_refused(wrong):
    """With the name of what is wrong."""
    plain = {name: getattr(RULES, name) for name in RULES.__slots__}
    with pytest.raises(Invalid):
        canary_rules_of({**plain, **wrong})
