"""How good people are who judge the answers of others."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from loop.domain.policy.quality_rules import QualityRules, Standing
from loop.domain.quality.judging import (
    JudgedCheck,
    judge_quality_of,
    judging_after,
    soundness,
    verdict_is_right,
)
from loop.domain.recipes.ontology import Attribute, AttributeType, Label
from loop.domain.recipes.recipe import Recipe
from loop.domain.review.tasks import Outcome
from loop.domain.truth import Geometry, Shape, drawn

RULES = QualityRules(bar=0.8, confidence=0.9, min_items=10, window=50)
BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
RECIPE = Recipe(
    1,
    (
        Label("cell", "#e69f00", "", attributes=(Attribute("whole", AttributeType.BOOLEAN),)),
        Label("dot", "#56b4e9", "", Geometry.POINT),
    ),
)
BOX = Shape("cell", (0.0, 0.0, 100.0, 100.0))
OTHER = Shape("cell", (300.0, 0.0, 400.0, 100.0))
POINT = drawn(Geometry.POINT, "dot", [(50.0, 50.0)])


def moved(by: float, shape: Shape = BOX) -> Shape:
    x1, y1, x2, y2 = shape.box
    return replace(shape, box=(x1 + by, y1, x2 + by, y2), points=tuple((x + by, y) for x, y in shape.points))


@pytest.mark.parametrize(
    ("answer", "sound"),
    [
        pytest.param([BOX, OTHER, POINT], True, id="the same"),
        pytest.param([POINT, moved(5.0), OTHER], True, id="hardly moved, in another order"),
        pytest.param([moved(30.0), OTHER, POINT], None, id="a little off"),
        pytest.param([moved(90.0), OTHER, POINT], False, id="in another place"),
        pytest.param([BOX, OTHER, moved(6.0, POINT)], None, id="a point a little off"),
        pytest.param([BOX, OTHER, moved(40.0, POINT)], False, id="a point in another place"),
        pytest.param([BOX, POINT], False, id="one missed"),
        pytest.param([BOX, OTHER, moved(700.0), POINT], False, id="one invented"),
        pytest.param([replace(BOX, label="dot"), OTHER, POINT], False, id="misnamed"),
        pytest.param([replace(BOX, attributes={"whole": True}), OTHER, POINT], False, id="an attribute"),
        pytest.param([], False, id="nothing"),
    ],
)
def test_an_answer_is_right_wrong_or_a_matter_of_taste(answer: list[Shape], sound: bool | None) -> None:
    assert soundness(answer, [BOX, OTHER, POINT], RECIPE, reach=10.0, iou=0.5) is sound


def test_who_asks_for_more_exact_places_gets_fewer_right_answers() -> None:
    """What the project would call a defect is never shown as right."""
    assert soundness([moved(10.0)], [BOX], RECIPE, reach=10.0, iou=0.5) is True
    assert soundness([moved(10.0)], [BOX], RECIPE, reach=10.0, iou=0.9) is None


@pytest.mark.parametrize(
    ("outcome", "sound", "corrected", "right"),
    [
        (Outcome.ACCEPTED, True, None, True),
        (Outcome.ACCEPTED, False, None, False),
        (Outcome.RETURNED, True, None, False),
        (Outcome.RETURNED, False, None, True),
        *((Outcome.SUBMITTED, sound, True, True) for sound in (True, False)),
        *((Outcome.SUBMITTED, sound, None, True) for sound in (True, False)),
        *((Outcome.SUBMITTED, sound, False, False) for sound in (True, False)),
    ],
)
def test_right_is_what_comes_of_a_verdict(outcome: Outcome, sound: bool, corrected: bool | None, right: bool) -> None:
    assert verdict_is_right(outcome, sound=sound, corrected=corrected) is right


def checks(*verdicts: tuple[bool, bool], start: int = 1) -> list[JudgedCheck]:
    """(sound, right), one an hour."""
    return [JudgedCheck(BEGAN + timedelta(hours=at), *one) for at, one in enumerate(verdicts, start=start)]


ACCEPTED, REFUSED, CAUGHT, OVERLOOKED = (True, True), (True, False), (False, True), (False, False)


@pytest.mark.parametrize(
    ("current", "each", "after"),
    [
        pytest.param(Standing.QUALIFIED, [ACCEPTED, CAUGHT], Standing.QUALIFIED, id="good stays good"),
        pytest.param(Standing.QUALIFIED, [ACCEPTED, OVERLOOKED], Standing.WARNED, id="lets everything stand"),
        pytest.param(Standing.QUALIFIED, [REFUSED, CAUGHT], Standing.WARNED, id="lets nothing stand"),
        pytest.param(Standing.WARNED, [ACCEPTED, OVERLOOKED], Standing.PAUSED, id="goes on to"),
        pytest.param(Standing.PAUSED, [ACCEPTED, CAUGHT], Standing.QUALIFIED, id="mends"),
        pytest.param(Standing.PAUSED, [ACCEPTED, ACCEPTED], Standing.PAUSED, id="what is caught is not known"),
        pytest.param(Standing.WARNED, [ACCEPTED, ACCEPTED], Standing.WARNED, id="nor that it is not"),
    ],
)
def test_both_rates_decide_of_a_judge(current: Standing, each: list[tuple[bool, bool]], after: Standing) -> None:
    """As precision and recall of who answers."""
    found = judging_after(current, checks(*each * 10), since=BEGAN, rules=RULES)
    assert (found.standing, found.items) == (after, 20)


def test_what_few_checks_are_of_speaks_against_nobody() -> None:
    """Wrong answers that could be shown are few: one that was overlooked, or none to catch, is no reason."""
    one = judging_after(Standing.QUALIFIED, checks(*[ACCEPTED] * 9, OVERLOOKED), since=BEGAN, rules=RULES)
    none = judging_after(Standing.QUALIFIED, checks(*[ACCEPTED] * 20), since=BEGAN, rules=replace(RULES, bar=0.98))
    assert (one.standing, none.standing) == (Standing.QUALIFIED, Standing.QUALIFIED)


def test_too_few_checks_decide_nothing() -> None:
    found = judging_after(Standing.PAUSED, checks(*[CAUGHT] * 9), since=BEGAN, rules=RULES)
    assert (found.standing, found.items, found.more) == (Standing.PAUSED, 9, 1)


def test_checks_of_the_present_standing_count_the_last_of_them() -> None:
    before = checks(*[OVERLOOKED] * 30, start=-40)
    found = judging_after(Standing.PAUSED, [*checks(*[ACCEPTED, CAUGHT] * 30), *before], since=BEGAN, rules=RULES)
    assert (found.standing, found.items) == (Standing.QUALIFIED, 50)


def test_each_check_is_one_trial_of_one_rate() -> None:
    found = judge_quality_of(checks(ACCEPTED, ACCEPTED, REFUSED, CAUGHT))
    assert (found.checks, found.accepts.value, found.catches.value) == (4, pytest.approx(2 / 3), 1.0)
    assert (found.accepts.good, found.accepts.bad, found.catches.high) == (2.0, 1.0, 1.0)


def test_a_wrong_answer_that_was_caught_vouches_and_nothing_else() -> None:
    vouching = [one.vouches(RULES) for one in checks(ACCEPTED, REFUSED, CAUGHT, OVERLOOKED)]
    assert vouching == [False, False, True, False]


def fate(rng: np.random.Generator, accepts: float, catches: float, items: int = 100) -> set[Standing]:
    """The standings of somebody who judges so, over so many checks, half of them wrong answers."""
    sound = rng.random(items) < 0.5
    right = rng.random(items) < np.where(sound, accepts, catches)
    told = checks(*zip(sound.tolist(), right.tolist(), strict=True))
    standing, since, met = Standing.QUALIFIED, BEGAN, {Standing.QUALIFIED}
    for count, check in enumerate(told, start=1):
        after = judging_after(standing, told[:count], since=since, rules=RULES).standing
        if after is not standing:
            standing, since = after, check.at
            met.add(standing)
    return met


@pytest.mark.parametrize(
    ("accepts", "catches", "paused", "most"),
    [(0.97, 0.95, 0.0, 0.0), (0.95, 0.9, 0.0, 0.1), (0.95, 0.5, 0.85, 1.0), (0.5, 0.95, 0.85, 1.0)],
)
def test_who_judges_poorly_is_found_and_who_judges_well_is_left_alone(
    accepts: float, catches: float, paused: float, most: float
) -> None:
    """Of forty people each, with a hundred checks."""
    rng = np.random.default_rng(7)
    share = np.mean([Standing.PAUSED in fate(rng, accepts, catches) for _ in range(40)])
    assert paused <= share <= most
