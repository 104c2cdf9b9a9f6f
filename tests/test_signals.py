"""Signals, risk and anomaly: pure functions of one inference."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from loop.domain.errors import Invalid
from loop.domain.prediction import Inference, detections_of
from selection.anomaly import AnomalyScorer
from selection.index import EmbeddingIndex
from selection.risk import heuristic_risk
from selection.scores import Signals, bernoulli_entropy, rarity_weights, signals


@st.composite
def inferences(draw) -> Inference:
    count = draw(st.integers(0, 6))
    class_scores = draw(arrays(np.float32, (count, 3), elements=st.floats(0.0, 1.0, width=32)))
    scores = class_scores.max(axis=1) if count else np.zeros(0, np.float32)
    order = np.argsort(-scores, kind="stable")
    corners = draw(arrays(np.float32, (count, 2), elements=st.floats(0.0, 50.0, width=32)))
    sides = draw(arrays(np.float32, (count, 2), elements=st.floats(1.0, 40.0, width=32)))
    return Inference(
        boxes=np.hstack([corners, corners + sides])[order].astype(np.float32),
        scores=scores[order],
        classes=class_scores.argmax(axis=1)[order] if count else np.zeros(0, np.int64),
        class_scores=class_scores[order],
        embedding=np.ones(4, np.float32) / 2,
    )


RARITY = np.array([0.0, 0.4, 1.0])


def measure(inference: Inference, anomaly_p: float = 1.0) -> Signals:
    return signals(inference, threshold=0.25, width=100, height=100, anomaly_p=anomaly_p, rarity=RARITY)


UNIT = (
    "least_confidence", "mean_entropy", "max_entropy", "least_margin", "smallest_box", "largest_box", "largest_rarity",
)  # fmt: skip


@given(inference=inferences())
def test_signals_stay_in_their_range(inference):
    """No NaN, no infinity, unit signals in [0, 1], for empty and saturated scores too; so does the risk."""
    found = measure(inference)
    values = found.as_dict()
    assert all(np.isfinite(value) for value in values.values())
    assert all(0.0 <= values[name] <= 1.0 for name in UNIT)
    assert found.near_threshold_mass >= 0.0
    assert found.largest_rarity <= found.sum_rarity <= found.count
    assert 0.0 <= heuristic_risk(found) <= 1.0


@given(inference=inferences(), seed=st.integers(0, 2**32 - 1))
def test_the_order_of_detections_does_not_matter(inference, seed):
    """A permutation of the candidates gives the same signals."""
    order = np.random.default_rng(seed).permutation(len(inference.scores))
    shuffled = dataclasses.replace(
        inference,
        boxes=inference.boxes[order],
        scores=inference.scores[order],
        classes=inference.classes[order],
        class_scores=inference.class_scores[order],
    )
    one, other = measure(inference).as_dict(), measure(shuffled).as_dict()
    assert one == pytest.approx(other)


@given(inference=inferences(), name=st.sampled_from(["least_confidence", "mean_entropy", "near_threshold_mass"]))
def test_risk_grows_with_doubt(inference, name):
    """More doubt, more entropy or more near-threshold mass never lowers the risk."""
    found = measure(inference)
    more = dataclasses.replace(
        found, **{name: min(getattr(found, name) + 0.1, 1.0 if name != "near_threshold_mass" else 9)}
    )
    assert heuristic_risk(more) >= heuristic_risk(found) - 1e-12


@given(inference=inferences(), low=st.floats(0.001, 1.0), high=st.floats(0.001, 1.0))
def test_risk_grows_as_the_p_value_falls(inference, low, high):
    """An image unlike the training set is never less risky."""
    low, high = sorted((low, high))
    assert heuristic_risk(measure(inference, low)) >= heuristic_risk(measure(inference, high))


def test_no_detection_is_not_certainty():
    """An image where nothing was found starts from a coin toss, not from zero."""
    empty = Inference(np.zeros((0, 4)), np.zeros(0), np.zeros(0, int), np.zeros((0, 3)), np.ones(4))  # type: ignore[arg-type]
    assert heuristic_risk(measure(empty)) >= 0.5


COUNTS = st.lists(st.integers(0, 10**6), min_size=1, max_size=8)


@given(counts=COUNTS)
def test_rarity_falls_with_the_number_of_labels(counts):
    """In [0, 1]: 0 for the most frequent class, 1 for one without a label where others have any; equal for equals."""
    weights = rarity_weights(np.array(counts))
    assert np.isfinite(weights).all() and ((weights >= 0.0) & (weights <= 1.0)).all()
    assert weights[np.argmax(counts)] == 0.0
    if max(counts):
        assert all(weight == 1.0 for weight, count in zip(weights, counts, strict=True) if count == 0)
    order = np.argsort(counts, kind="stable")
    assert (np.diff(weights[order]) <= 0.0).all()


@given(counts=COUNTS, at=st.integers(0, 7), more=st.integers(1, 10**6))
def test_more_labels_of_a_class_make_it_no_rarer(counts, at, more):
    """And the others no more frequent."""
    at %= len(counts)
    after = [count + more * (row == at) for row, count in enumerate(counts)]
    before, then = rarity_weights(np.array(counts)), rarity_weights(np.array(after))
    if max(counts):
        assert then[at] <= before[at]
        assert all(then[row] >= before[row] for row in range(len(counts)) if row != at)


def test_rarity_is_that_of_what_is_seen():
    """Of kept detections only; where nothing is labelled, or nothing is known, it is silent."""
    scores = np.array([0.9, 0.8, 0.6, 0.1], np.float32)
    classes = np.array([1, 2, 1, 2])
    boxes = np.tile(np.array([0, 0, 9, 9], np.float32), (4, 1))
    seen = Inference(boxes, scores, classes, np.eye(3, dtype=np.float32)[classes] * scores[:, None], np.ones(4))  # type: ignore[arg-type]
    found = measure(seen)
    assert (found.largest_rarity, found.sum_rarity) == pytest.approx((1.0, 1.8))
    for nothing in (None, rarity_weights(np.zeros(3, int))):
        silent = signals(seen, threshold=0.25, width=100, height=100, anomaly_p=1.0, rarity=nothing)
        assert (silent.largest_rarity, silent.sum_rarity) == (0.0, 0.0)


@given(inference=inferences())
def test_what_was_not_measured_is_left_out(inference):
    """Consistency takes a second pass: without one there is no such signal, with one it is passed on as it is."""
    assert "consistency" not in measure(inference).as_dict()
    assert measure(dataclasses.replace(inference, consistency=0.25)).as_dict()["consistency"] == 0.25


def test_entropy_peaks_at_a_half():
    """0 bits at p = 0 and p = 1, 1 bit at p = 1/2."""
    assert bernoulli_entropy(np.array([0.0, 0.5, 1.0])).tolist() == [0.0, 1.0, 0.0]


def unit_rows(rng: np.random.Generator, count: int, centre: float = 0.0) -> np.ndarray:
    rows = rng.normal(centre, 1.0, (count, 16)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_p_values_of_ordinary_images_are_uniform():
    """New images like the references: P(p <= 0.1) is 0.1, within 4 standard errors (conformal validity)."""
    rng = np.random.default_rng(0)
    below = []
    for _ in range(40):
        scorer = AnomalyScorer.fit(unit_rows(rng, 300), k=10)
        below += [scorer.p_value(row) <= 0.1 for row in unit_rows(rng, 25)]
    assert abs(np.mean(below) - 0.1) < 4 * (0.1 * 0.9 / len(below)) ** 0.5 + 0.01


def test_an_image_from_elsewhere_has_a_small_p_value():
    """Embeddings of another region get the smallest p-value there is."""
    rng = np.random.default_rng(1)
    scorer = AnomalyScorer.fit(unit_rows(rng, 300, centre=3.0), k=10)
    foreign = -unit_rows(rng, 20, centre=3.0)
    smallest = 1.0 / (scorer.calibration.size + 1)
    assert max(scorer.p_value(row) for row in foreign) == pytest.approx(smallest)


def test_too_few_references_say_nothing():
    """With a handful of references the p-value is 1: not known, not anomalous."""
    scorer = AnomalyScorer.fit(unit_rows(np.random.default_rng(2), 5), k=10)
    assert scorer.p_value(unit_rows(np.random.default_rng(3), 1)[0]) == 1.0


def test_the_nearest_come_first():
    """`nearest` agrees with a brute-force search."""
    rng = np.random.default_rng(4)
    rows, query = unit_rows(rng, 200), unit_rows(rng, 1)[0]
    index = EmbeddingIndex(16)
    index.add([str(i) for i in range(150)], rows[:150])
    index.add([str(i) for i in range(150, 200)], rows[150:])
    expected = [str(i) for i in np.argsort(-(rows @ query))[:5]]
    assert [key for key, _ in index.nearest(query, 5)] == expected


@pytest.mark.parametrize("bad", [np.ones((1, 8)), np.full((1, 16), np.nan)], ids=["another space", "NaN"])
def test_what_does_not_belong_is_refused(bad):
    """An embedding of another width, or with NaN, never gets in silently."""
    with pytest.raises(Invalid):
        EmbeddingIndex(16).add(["x"], bad.astype(np.float32))


@given(inference=inferences())
def test_a_detection_is_ahead_of_the_next_label_by_its_margin(inference: Inference) -> None:
    """To four places, of the detections that are answered; with one label it is the score."""
    kept = inference.scores >= 0.25
    for one, scores in zip(detections_of(inference, ("a", "b", "c"), 0.25), inference.class_scores[kept], strict=True):
        first, second = sorted(map(float, scores))[:0:-1]
        assert one.margin == pytest.approx(first - second, abs=6e-5)
    single = dataclasses.replace(inference, class_scores=inference.scores[:, None], classes=inference.classes * 0)
    for one in detections_of(single, ("a",), 0.25):
        assert one.margin == pytest.approx(one.score, abs=6e-5)
