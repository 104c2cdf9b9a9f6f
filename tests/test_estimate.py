"""How good production is: estimates from audits, and bounds that may be looked at every day."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.errors import Invalid
from loop.domain.production.confidence_sequence import Seen, capital_against, confidence_sequence
from loop.domain.production.estimate import Population, assisted_rate, assisted_share, rate_of, share_of, worth_of_half


def test_sending_the_risky_to_people_does_not_make_production_look_worse() -> None:
    """Weighted by the inverse of its probability, each prediction stands for those like it that nobody saw."""
    rng = np.random.default_rng(1)
    risk = rng.beta(0.5, 3, 40_000)
    failed = (rng.random(len(risk)) < risk).astype(float)
    inclusion = np.where(risk > 0.3, 1.0, 0.05)
    seen = rng.random(len(risk)) < inclusion
    found = rate_of(failed[seen], inclusion[seen])
    assert found.low < failed.mean() < found.high
    assert failed[seen].mean() > 1.5 * found.high
    assert found.seen == seen.sum()
    assert found.worth < found.seen


@pytest.mark.parametrize("assisted", [False, True])
def test_intervals_hold_the_truth_as_often_as_they_say(assisted: bool) -> None:
    """About 95 of a hundred, of so few failures as ten, drawn with equal and with unequal probabilities."""
    rng = np.random.default_rng(2)
    held = []
    for number in range(200):
        risk = rng.beta(0.25, 4.75, 4_000)
        failed = (rng.random(len(risk)) < risk).astype(float)
        inclusion = np.full(len(risk), 0.05) if number % 2 else np.where(risk > 0.2, 1.0, 0.05)
        seen = rng.random(len(risk)) < inclusion
        found = (
            assisted_rate(failed[seen], inclusion[seen], risk[seen], risk)
            if assisted
            else rate_of(failed[seen], inclusion[seen])
        )
        held.append(found.low <= 0.05 <= found.high)
    assert 0.90 <= np.mean(held) <= 0.99


def test_a_good_risk_makes_intervals_shorter_and_a_useless_one_does_no_harm() -> None:
    """Prediction-powered inference with the factor that gives the least variance."""
    rng = np.random.default_rng(3)
    risk = rng.beta(0.4, 0.8, 40_000)
    failed = (rng.random(len(risk)) < risk).astype(float)
    inclusion = np.full(len(risk), 0.05)
    seen = rng.random(len(risk)) < inclusion
    plain = rate_of(failed[seen], inclusion[seen])
    helped = assisted_rate(failed[seen], inclusion[seen], risk[seen], risk)
    noise = rng.random(len(risk))
    useless = assisted_rate(failed[seen], inclusion[seen], noise[seen], noise)
    assert helped.high - helped.low < 0.85 * (plain.high - plain.low)
    assert useless.high - useless.low < 1.05 * (plain.high - plain.low)


def test_precision_counts_detections_and_images_are_what_is_drawn() -> None:
    """Detections of one image fail together: the interval is that of the images, not of so many independent boxes."""
    rng = np.random.default_rng(4)
    of_image = rng.integers(1, 20, 300)
    right = np.where(rng.random(300) < 0.9, of_image, 0)
    together = share_of(right.astype(float), of_image.astype(float), np.ones(300))
    alone = share_of(
        np.repeat(right / of_image, of_image), np.ones(of_image.sum()), np.ones(of_image.sum())
    )  # each its own image
    assert together.value == pytest.approx(right.sum() / of_image.sum())
    assert together.high - together.low > 2 * (alone.high - alone.low)


@pytest.mark.parametrize("assisted", [False, True])
def test_of_few_failures_that_come_together_shares_are_not_surer_than_they_are(assisted: bool) -> None:
    """A recall of 0.98 by images that fail in whole, the risky ones reviewed, the others weighing 25 times as much:
    were no such image counted beside those that were seen, 85 in a hundred would hold it."""
    rng = np.random.default_rng(15)
    held = []
    for _ in range(300):
        risk = rng.beta(0.1, 4.9, 5_000)
        inclusion = np.where(risk < 0.3, 0.04, 1.0)
        seen = rng.random(len(risk)) < inclusion
        boxes = rng.integers(1, 6, int(seen.sum())).astype(float)
        found = np.where(rng.random(len(boxes)) < risk[seen], 0.0, boxes)
        estimate = (
            assisted_share(found, boxes, inclusion[seen], risk[seen], risk)
            if assisted
            else share_of(found, boxes, inclusion[seen])
        )
        held.append(estimate.low <= 0.98 <= estimate.high)
    assert 0.90 <= np.mean(held) <= 0.995


@given(st.lists(st.tuples(st.booleans(), st.sampled_from([0.02, 0.5, 1.0])), min_size=1, max_size=50))
def test_an_estimate_lies_in_its_interval(seen: list[tuple[bool, float]]) -> None:
    """And all of it in [0, 1]; where nothing failed the interval begins at 0, where all did it ends at 1."""
    values, inclusion = (np.array(column, dtype=float) for column in zip(*seen, strict=True))
    found = rate_of(values, inclusion)
    assert 0.0 <= found.low <= found.value <= found.high <= 1.0
    assert (found.low == 0.0) == (not values.any())
    assert (found.high == 1.0) == bool(values.all())


def test_nothing_seen_is_no_estimate() -> None:
    """It is said what to wait for."""
    with pytest.raises(Invalid, match="nothing to estimate"):
        rate_of(np.empty(0), np.empty(0))
    with pytest.raises(Invalid, match="nothing to estimate"):
        share_of(np.zeros(3), np.zeros(3), np.ones(3))
    with pytest.raises(Invalid, match="not one"):
        rate_of(np.ones(1), np.zeros(1))


def watched(rng: np.random.Generator, rate: float, predictions: int, inclusion: float = 0.05) -> Seen:
    seen = np.flatnonzero(rng.random(predictions) < inclusion)
    failed = (rng.random(len(seen)) < rate).astype(float)
    gap = np.diff(np.append(-1, seen)) - 1
    return Seen(loss=failed, inclusion=np.full(len(seen), inclusion), gap=gap, least=inclusion)


def test_an_alarm_is_seldom_false_however_often_one_looks() -> None:
    """At 1 / level the capital against a rate that is true is reached at any time in at most a share `level`."""
    rng = np.random.default_rng(5)
    false = sum((capital_against(watched(rng, 0.05, 8_000), 0.05) >= 10).any() for _ in range(150))
    assert false <= 0.1 * 150 + 3 * np.sqrt(150 * 0.1 * 0.9)


def test_an_alarm_comes_where_twice_as_many_fail() -> None:
    """Within a few hundred audits."""
    rng = np.random.default_rng(6)
    assert all((capital_against(watched(rng, 0.10, 16_000), 0.05) >= 20).any() for _ in range(20))


def test_a_confidence_sequence_holds_at_all_times_and_never_widens() -> None:
    """Of 40 streams hardly one ever leaves it."""
    rng = np.random.default_rng(7)
    left = 0
    for _ in range(40):
        low, high = confidence_sequence(watched(rng, 0.08, 4_000))
        left += bool(((low > 0.08) | (high < 0.08)).any())
        assert (np.diff(low) >= 0).all()
        assert (np.diff(high) <= 0).all()
    assert left <= 6
    assert high[-1] - low[-1] < 0.2


def test_what_contradicts_itself_is_refused() -> None:
    """Losses above 1, probabilities below the least, arrays of different lengths."""
    sound = {"loss": np.ones(1), "inclusion": np.ones(1), "gap": np.zeros(1, dtype=np.intp), "least": 0.5}
    for wrong in ({"loss": np.full(1, 2.0)}, {"inclusion": np.full(1, 0.1)}, {"gap": np.zeros(2, dtype=np.intp)}):
        with pytest.raises(Invalid, match="contradicts"):
            Seen(**{**sound, **wrong})


def shares(rng: np.random.Generator, audits: int) -> tuple[np.ndarray, ...]:
    """Right detections, all detections, inclusion, risk of those that were seen; risk of all. A precision of 0.875."""
    risk = rng.beta(0.5, 1.5, 20 * audits)
    seen = rng.random(len(risk)) < 0.05
    boxes = rng.integers(1, 6, int(seen.sum()))
    bad = rng.random(len(boxes)) < risk[seen]
    right = rng.binomial(boxes, np.where(bad, 0.5, 1.0))
    return right.astype(float), boxes.astype(float), np.full(len(boxes), 0.05), risk[seen], risk


def test_the_risk_makes_intervals_of_shares_shorter_too() -> None:
    """And they hold the truth as often as they say."""
    rng = np.random.default_rng(11)
    held, shorter = [], []
    for _ in range(200):
        right, boxes, inclusion, risk, population = shares(rng, 400)
        plain = share_of(right, boxes, inclusion)
        helped = assisted_share(right, boxes, inclusion, risk, population)
        held.append(helped.low <= 0.875 <= helped.high)
        shorter.append((helped.high - helped.low) / (plain.high - plain.low))
    assert 0.90 <= np.mean(held) <= 0.99
    assert np.median(shorter) < 0.95


def test_a_rate_is_a_share_of_one_each() -> None:
    """Whatever helps it; and a risk that tells nothing changes nothing."""
    rng = np.random.default_rng(12)
    _, _, inclusion, risk, population = shares(rng, 400)
    failed = (rng.random(len(risk)) < risk).astype(float)
    one, other = (
        assisted_rate(failed, inclusion, risk, population),
        assisted_share(failed, np.ones_like(failed), inclusion, risk, population),
    )
    assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high))
    same = np.full_like(risk, 0.3)
    flat = assisted_share(failed, np.ones_like(failed), inclusion, same, np.full(900, 0.3))
    assert (flat.low, flat.high) == pytest.approx((rate_of(failed, inclusion).low, rate_of(failed, inclusion).high))


def test_of_a_population_its_sums_are_enough() -> None:
    """Ten million risks need not be held."""
    right, boxes, inclusion, risk, population = shares(np.random.default_rng(13), 200)
    summed = Population(len(population), population.mean(), population.var())
    assert assisted_share(right, boxes, inclusion, risk, population) == assisted_share(
        right, boxes, inclusion, risk, summed
    )


@given(st.integers(1, 300), st.floats(0.0, 1.0))
def test_half_an_interval_takes_about_four_times_as_much(seen: int, share: float) -> None:
    """Twice where nothing has failed; and so many do halve it."""
    values = (np.arange(seen) < share * seen).astype(float)
    now = rate_of(values, np.ones(seen))
    times = worth_of_half(now)
    assert 1.5 < times < (8.0 if seen > 5 else 16.0)  # Jeffreys' prior weighs as much as a few answers
    if seen > 50 and 0.2 < now.value < 0.8:
        many = np.tile(values, round(times))
        then = rate_of(many, np.ones(len(many)))
        assert then.high - then.low == pytest.approx((now.high - now.low) / 2.0, rel=0.1)


def test_who_looks_seldom_sees_bounds_that_are_no_narrower() -> None:
    """Bounds at some looks rest on those alone."""
    seen = watched(np.random.default_rng(14), 0.1, 4_000)
    looks = np.array([20, 60, 120])
    low, high = confidence_sequence(seen)
    some_low, some_high = confidence_sequence(seen, looks=looks)
    assert some_low.shape == some_high.shape == (3,)
    assert (some_low <= low[looks]).all() and (some_high >= high[looks]).all()
    assert some_low[-1] <= 0.1 <= some_high[-1] < 0.3
