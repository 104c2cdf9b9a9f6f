"""What each signal and aggregate promises of itself: bounds, order, and the direction in which it is riskier."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from loop.domain.prediction import Inference, margins
from selection.scores import Aggregate, Signals, aggregated, bernoulli_entropy, mean_class_entropy, signals

THRESHOLD, CLASSES, SIDE = 0.25, 3, 100
RARITY = np.array([0.0, 0.4, 1.0])
ROUNDING = 1e-5  # of float32 scores

SHARES = st.floats(0.0, 1.0, width=32)
FROM_THRESHOLD = st.floats(THRESHOLD, 1.0, width=32)


def said(class_scores: NDArray[np.float32], boxes: NDArray[np.float32]) -> Inference:
    return Inference(
        boxes=boxes,
        scores=class_scores.max(axis=1, initial=0.0),
        classes=class_scores.argmax(axis=1) if len(class_scores) else np.zeros(0, np.int64),
        class_scores=class_scores,
        embedding=np.ones(1, np.float32),
    )


@st.composite
def some_boxes(draw: st.DrawFn, count: int) -> NDArray[np.float32]:
    corners = draw(arrays(np.float32, (count, 2), elements=st.floats(0.0, 60.0, width=32)))
    sides = draw(arrays(np.float32, (count, 2), elements=st.floats(0.0, 40.0, width=32)))
    return np.hstack([corners, corners + sides]).astype(np.float32)


@st.composite
def inferences(draw: st.DrawFn, fewest: int = 0) -> Inference:
    """With saturated scores, too; of the first `fewest` candidates each is kept."""
    count = draw(st.integers(fewest, 6))
    class_scores = draw(arrays(np.float32, (count, CLASSES), elements=SHARES | st.sampled_from([0.0, 1.0])))
    for row in range(fewest):
        class_scores[row, draw(st.integers(0, CLASSES - 1))] = draw(FROM_THRESHOLD)
    return said(class_scores, draw(some_boxes(count)))


def measured(inference: Inference) -> dict[str, float]:
    found = signals(inference, threshold=THRESHOLD, width=SIDE, height=SIDE, anomaly_p=0.5, rarity=RARITY)
    return found.as_dict()


def with_scores(inference: Inference, row: int, scores: NDArray[np.floating]) -> Inference:
    """As if the model had said these of one candidate."""
    class_scores = inference.class_scores.copy()
    class_scores[row] = scores
    return said(class_scores, inference.boxes)


def assert_no_smaller(names: tuple[str, ...], after: Inference, before: Inference) -> None:
    then, now = measured(before), measured(after)
    assert {name: now[name] for name in names if now[name] < then[name] - ROUNDING} == {}, then


# --- signals -------------------------------------------------------------------------------------


@given(inference=inferences())
def test_every_signal_stays_in_its_bounds(inference: Inference) -> None:
    """The maximum, the mean and the sum of one measure in their order; no NaN, for no or saturated scores either."""
    found = measured(inference)
    assert all(np.isfinite(value) for value in found.values())
    assert 0.0 <= found["mean_entropy"] <= found["max_entropy"] + ROUNDING
    assert found["max_entropy"] <= found["max_class_entropy"] + ROUNDING
    for largest, total, most in (
        ("least_confidence", "sum_least_confidence", 1),
        ("least_margin", "sum_margin", 1),
        ("max_class_entropy", "sum_class_entropy", CLASSES),
    ):
        assert 0.0 <= found[largest] <= most
        assert 0.0 <= found[total] <= most * found["count"]
        assert found[largest] <= found[total] + ROUNDING or not found["count"]
    assert 0.0 <= found["smallest_box"] <= found["largest_box"] <= 1.0


@given(inference=inferences(), seed=st.integers(0, 2**32 - 1))
def test_no_signal_depends_on_the_order_of_the_candidates(inference: Inference, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(inference.scores))
    shuffled = said(inference.class_scores[order], inference.boxes[order])
    assert measured(shuffled) == pytest.approx(measured(inference), abs=1e-9)


@given(inference=inferences(fewest=1), towards=SHARES)
def test_entropies_grow_as_scores_come_nearer_to_a_half(inference: Inference, towards: float) -> None:
    """All scores of one detection; it stays kept, since a half is above the threshold."""
    scores = inference.class_scores[0].astype(np.float64)
    nearer = with_scores(inference, 0, scores + towards * (0.5 - scores))
    names = ("mean_entropy", "max_entropy", "max_class_entropy", "sum_class_entropy")
    assert_no_smaller(names, nearer, inference)


@given(inference=inferences(fewest=1), less=SHARES)
def test_least_confidence_grows_as_a_score_falls(inference: Inference, less: float) -> None:
    """As far as the threshold: below it the detection is not kept, and counts as near-threshold mass."""
    scores = inference.class_scores[0].astype(np.float64)
    share = max(1.0 - less, (THRESHOLD + 1e-6) / scores.max()) if scores.max() > THRESHOLD + 1e-6 else 1.0
    lower = with_scores(inference, 0, scores * share)
    assert_no_smaller(("least_confidence", "sum_least_confidence"), lower, inference)


@given(inference=inferences(fewest=1), nearer=SHARES)
def test_margin_signals_grow_as_the_next_label_comes_nearer(inference: Inference, nearer: float) -> None:
    scores = inference.class_scores[0].copy()
    second, first = np.argsort(scores, kind="stable")[-2:]
    scores[second] += nearer * (scores[first] - scores[second])
    assert_no_smaller(("least_margin", "sum_margin"), with_scores(inference, 0, scores), inference)


@given(inference=inferences(fewest=1), low=SHARES, more=SHARES)
def test_near_threshold_mass_grows_with_what_is_nearly_detected(inference: Inference, low: float, more: float) -> None:
    """And nothing else changes by it."""
    below = 0.249 * low
    added = np.vstack([inference.class_scores, np.array([[below, 0, 0]], np.float32)])
    before = said(added, np.vstack([inference.boxes, inference.boxes[:1]]))
    after = with_scores(before, -1, np.array([below + more * (0.249 - below), 0, 0]))
    grown = measured(after)["near_threshold_mass"] - measured(before)["near_threshold_mass"]
    assert grown == pytest.approx(float(after.scores[-1]) - float(before.scores[-1]), abs=1e-9)
    rest = measured(before) | {"near_threshold_mass": 0.0}
    assert measured(after) | {"near_threshold_mass": 0.0} == rest


@given(inference=inferences(fewest=1), data=st.data())
def test_another_detection_lowers_no_maximum_and_no_sum(inference: Inference, data: st.DataObject) -> None:
    """Where there was one: without any the signals are those of a coin toss, which a sure one is below."""
    one = data.draw(arrays(np.float32, (1, CLASSES), elements=FROM_THRESHOLD))
    more = said(np.vstack([inference.class_scores, one]), np.vstack([inference.boxes, data.draw(some_boxes(1))]))
    names = (
        "count", "least_confidence", "sum_least_confidence", "max_entropy", "max_class_entropy", "sum_class_entropy",
        "least_margin", "sum_margin", "near_threshold_mass", "largest_box", "largest_rarity", "sum_rarity",
    )  # fmt: skip
    assert_no_smaller(names, more, inference)
    assert measured(more)["count"] == measured(inference)["count"] + 1
    assert measured(more)["smallest_box"] <= measured(inference)["smallest_box"]


def test_a_mean_may_fall_with_another_detection() -> None:
    """One that is surer than the others: no mean can keep it from that."""
    one = said(np.array([[0.5, 0.0, 0.0]], np.float32), np.zeros((1, 4), np.float32))
    two = said(np.array([[0.5, 0.0, 0.0], [1.0, 0.0, 0.0]], np.float32), np.zeros((2, 4), np.float32))
    assert (measured(one)["mean_entropy"], measured(two)["mean_entropy"]) == (1.0, 0.5)


@given(inference=inferences(fewest=1), more=SHARES)
def test_rarity_signals_grow_as_a_label_becomes_rarer(inference: Inference, more: float) -> None:
    rarer = np.maximum(RARITY, more)
    found = signals(inference, threshold=THRESHOLD, width=SIDE, height=SIDE, anomaly_p=0.5, rarity=rarer)
    then = measured(inference)
    assert found.largest_rarity >= then["largest_rarity"] and found.sum_rarity >= then["sum_rarity"] - ROUNDING


@given(inference=inferences(fewest=1), larger=st.floats(1.0, 3.0))
def test_box_signals_grow_with_the_boxes(inference: Inference, larger: float) -> None:
    """Up to the whole image."""
    boxes = inference.boxes.copy()
    boxes[:, 2:] = boxes[:, :2] + np.float32(larger) * (boxes[:, 2:] - boxes[:, :2])
    assert_no_smaller(("smallest_box", "largest_box"), replace(inference, boxes=boxes), inference)


def test_nothing_detected_is_a_coin_toss() -> None:
    """The largest and the mean of each measure are those of a detection of which nothing is known; sums are 0."""
    found = measured(said(np.zeros((0, CLASSES), np.float32), np.zeros((0, 4), np.float32)))
    assert {name for name, value in found.items() if value == 1.0} == {
        "mean_entropy", "max_entropy", "max_class_entropy",
    }  # fmt: skip
    assert {name for name, value in found.items() if name != "anomaly_p" and value == 0.5} == {
        "least_confidence",
        "least_margin",
    }
    assert not any(value for name, value in found.items() if name.startswith("sum_"))


def test_what_was_predicted_before_a_signal_was_measured_stays_readable() -> None:
    """It is left out then, not told as 0."""
    later = {"sum_least_confidence", "max_class_entropy", "sum_margin"}
    found = measured(said(np.eye(3, dtype=np.float32), np.zeros((3, 4), np.float32)))
    older = {name: value for name, value in found.items() if name not in later}
    assert Signals(**older).as_dict() == older  # type: ignore[arg-type]


# --- aggregates ----------------------------------------------------------------------------------

AGGREGATES: tuple[Aggregate, ...] = ("max", "mean", "sum")
every_aggregate = pytest.mark.parametrize("aggregate", AGGREGATES)
IMAGES = 4


@st.composite
def detections(draw: st.DrawFn, fewest: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Values in [0, 1] of detections, and of which image each is."""
    count = draw(st.integers(fewest, 12))
    values = draw(arrays(np.float64, count, elements=st.floats(0.0, 1.0)))
    return values, np.sort(draw(arrays(np.int64, count, elements=st.integers(0, IMAGES - 1))))


@every_aggregate
@given(some=detections(), seed=st.integers(0, 2**32 - 1))
def test_an_aggregate_does_not_depend_on_the_order_of_detections(aggregate: Aggregate, some, seed: int) -> None:
    values, rows = some
    order = np.random.default_rng(seed).permutation(len(rows))
    assert aggregated(aggregate, values[order], rows[order], IMAGES) == pytest.approx(
        aggregated(aggregate, values, rows, IMAGES)
    )


@given(some=detections())
def test_the_mean_is_at_most_the_largest_and_that_at_most_the_sum(some) -> None:
    """0 where an image has no detection, never NaN, and none above the number of its detections."""
    values, rows = some
    largest, mean, total = (aggregated(one, values, rows, IMAGES) for one in AGGREGATES)
    counts = np.bincount(rows, minlength=IMAGES)
    assert np.isfinite([largest, mean, total]).all()
    assert (mean >= 0.0).all() and (mean <= largest + 1e-12).all() and (largest <= total + 1e-12).all()
    assert (total <= counts + 1e-12).all()
    assert not np.any([one[counts == 0] for one in (largest, mean, total)])


@every_aggregate
@given(some=detections(fewest=1), at=st.integers(0, 11), more=st.floats(0.0, 1.0))
def test_an_aggregate_does_not_fall_as_a_value_grows(aggregate: Aggregate, some, at: int, more: float) -> None:
    values, rows = some
    grown = values.copy()
    grown[at % len(values)] += more
    before, after = (aggregated(aggregate, one, rows, IMAGES) for one in (values, grown))
    assert (after >= before - 1e-12).all()


@given(inference=inferences(fewest=1))
def test_signals_are_the_aggregates_of_their_detections(inference: Inference) -> None:
    """What is measured when an image is predicted is what a selection makes of the detections that are kept."""
    kept = inference.scores >= THRESHOLD
    rows = np.zeros(kept.sum(), np.int64)
    doubt = 1.0 - inference.scores[kept].astype(np.float64)
    ambiguity = 1.0 - margins(inference.class_scores[kept])
    entropy = bernoulli_entropy(inference.scores[kept])
    over_classes = bernoulli_entropy(inference.class_scores[kept]).sum(axis=1)
    expected = {
        "least_confidence": aggregated("max", doubt, rows, 1)[0],
        "sum_least_confidence": aggregated("sum", doubt, rows, 1)[0],
        "least_margin": aggregated("max", ambiguity, rows, 1)[0],
        "sum_margin": aggregated("sum", ambiguity, rows, 1)[0],
        "mean_entropy": aggregated("mean", entropy, rows, 1)[0],
        "max_entropy": aggregated("max", entropy, rows, 1)[0],
        "max_class_entropy": aggregated("max", over_classes, rows, 1)[0],
        "sum_class_entropy": aggregated("sum", over_classes, rows, 1)[0],
    }
    found = measured(inference)
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    mean = mean_class_entropy(np.array([found["sum_class_entropy"]]), np.array([found["count"]]))
    assert mean == pytest.approx(aggregated("mean", over_classes, rows, 1))


@given(
    totals=arrays(np.float64, 5, elements=st.floats(0.0, 100.0)),
    counts=arrays(np.float64, 5, elements=st.integers(0, 100).map(float)),
)
def test_the_mean_over_labels_lies_between_none_and_the_sum(totals: NDArray, counts: NDArray) -> None:
    """As the sum where nothing is detected; it grows with the sum."""
    found = mean_class_entropy(totals, counts)
    assert np.isfinite(found).all() and (found >= 0.0).all() and (found <= totals).all()
    assert np.array_equal(found[counts == 0], totals[counts == 0])
    assert (mean_class_entropy(totals + 1.0, counts) > found).all()


@given(p=st.floats(0.0, 1.0), towards=st.floats(0.0, 1.0))
def test_entropy_is_symmetric_and_grows_towards_a_half(p: float, towards: float) -> None:
    """In [0, 1] bits, at 0 and at 1, too."""
    here, mirrored, nearer = bernoulli_entropy(np.array([p, 1.0 - p, p + towards * (0.5 - p)]))
    assert 0.0 <= here <= 1.0 and here == pytest.approx(mirrored, abs=1e-12)
    assert nearer >= here - 1e-12
