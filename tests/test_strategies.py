"""Which items a strategy chooses. One contract for all, then what each is for."""

from collections.abc import Mapping
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from loop.domain.errors import Invalid
from loop.domain.selection import Part
from selection.choosing import choose, mixed
from selection.coverage import Coverage, k_center
from selection.duplicates import thinned
from selection.pool import Objects, Pool
from selection.scores import Signals
from selection.strategies.alike import LIKE_THIS, resembling
from selection.strategies.detections import counted
from selection.strategies.herding import weak_classes_seen
from selection.strategies.plug_and_play import difficulties
from selection.strategies.table import STRATEGIES, Strategy, looks_at, signals_of, strategy

LABELS = ("circle", "square", "bar")
SIGNALS = (
    "count", "sum_class_entropy", "max_class_entropy", "mean_entropy", "max_entropy", "least_confidence",
    "least_margin", "near_threshold_mass", "anomaly_p", "largest_rarity", "sum_rarity", "consistency",
)  # fmt: skip


def normalised(points: NDArray[np.floating]) -> NDArray[np.float32]:
    return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True), dtype=np.float32)


def pool_of(
    embeddings: NDArray[np.float32],
    *,
    risk: NDArray[np.float64] | None = None,
    labelled: NDArray[np.float32] | None = None,
    signals: Mapping[str, NDArray[np.float64]] | None = None,
    objects: Objects | None = None,
) -> Pool:
    """Two detections in each image, of any class."""
    n, rng = len(embeddings), np.random.default_rng(5)
    if objects is None:
        features = normalised(rng.normal(size=(2 * n, 4))) if n else np.empty((0, 4), dtype=np.float32)
        rows, classes = np.repeat(np.arange(n), 2), rng.integers(0, len(LABELS), 2 * n)
        scores = rng.uniform(0.1, 1.0, 2 * n)
        margins = scores * rng.uniform(size=2 * n)
        objects = Objects(rows=rows, classes=classes, scores=scores, margins=margins, features=features)
    return Pool(
        keys=[f"{row:064x}" for row in range(n)],
        embeddings=embeddings,
        risk=rng.uniform(size=n) if risk is None else risk,
        signals={name: rng.uniform(size=n) for name in SIGNALS} | dict(signals or {}),
        objects=objects,
        labels=LABELS,
        labelled=np.empty((0, embeddings.shape[1]), dtype=np.float32) if labelled is None else labelled,
    )


def random_pool(n: int, d: int = 8, seed: int = 0) -> Pool:
    return pool_of(normalised(np.random.default_rng(seed).normal(size=(n, d))))


def some_empty(pool: Pool) -> Pool:
    """Without the detections of each third image."""
    own = pool.objects
    kept = own.rows % 3 > 0
    assert own.margins is not None and own.features is not None
    left = Objects(
        rows=own.rows[kept],
        classes=own.classes[kept],
        scores=own.scores[kept],
        margins=own.margins[kept],
        features=own.features[kept],
    )
    return replace(pool, objects=left)


def clusters(sizes: tuple[int, ...], d: int = 16, spread: float = 0.05) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Points around as many orthogonal directions, and of which each is."""
    rng = np.random.default_rng(1)
    own = np.repeat(np.arange(len(sizes)), sizes)
    return normalised(np.eye(d)[own] + spread * rng.normal(size=(len(own), d))), own


every_strategy = pytest.mark.parametrize("name", [*STRATEGIES, LIKE_THIS])


def strategy_of(name: str, pool: Pool) -> Strategy:
    """like-this resembles two points, as two items would be that stand anywhere."""
    if name != LIKE_THIS:
        return strategy(name)
    queries = np.random.default_rng(4).normal(size=(2, pool.embeddings.shape[1]))
    return resembling(normalised(queries), ["one", "another"])


# --- the contract --------------------------------------------------------------------------------


@every_strategy
@pytest.mark.parametrize(("n", "budget"), [(40, 10), (40, 40), (40, 100), (1, 1), (1, 5), (3, 2), (600, 7)])
def test_the_budget_is_met_by_different_items_with_a_reason(name: str, n: int, budget: int) -> None:
    pool = random_pool(n)
    picks = strategy_of(name, pool)(pool, np.arange(n), budget, np.random.default_rng(3))
    assert len(picks) == min(n, budget)
    assert len({pick.row for pick in picks}) == len(picks)
    assert all(pick.reason and np.isfinite(pick.score) for pick in picks)


@every_strategy
@given(data=st.data(), n=st.integers(1, 30), budget=st.integers(1, 40))
def test_only_what_is_free_is_chosen(name: str, data: st.DataObject, n: int, budget: int) -> None:
    free = np.array(sorted(data.draw(st.sets(st.integers(0, n - 1)))), dtype=np.intp)
    pool = random_pool(n)
    picks = strategy_of(name, pool)(pool, free, budget, np.random.default_rng(0))
    rows = [pick.row for pick in picks]
    assert set(rows) <= set(free.tolist())
    assert len(rows) == len(set(rows)) == min(budget, len(free))


@every_strategy
def test_what_a_strategy_does_not_look_at_changes_nothing(name: str) -> None:
    """`looks_at` and `signals_of` are what is read of a million predictions: the rest is not there then."""
    pool, parts = some_empty(random_pool(60)), looks_at(name)
    objects = pool.objects if Part.OBJECTS in parts else replace(pool.objects, features=None)
    nothing = np.empty(0, dtype=np.int64)
    bare = replace(
        pool,
        signals={signal: pool.signals[signal] for signal in signals_of(name) & pool.signals.keys()},
        objects=objects if Part.DETECTIONS in parts else Objects(rows=nothing, classes=nothing, scores=np.empty(0)),
    )
    whole, less = (strategy_of(name, one)(one, np.arange(60), 20, np.random.default_rng(3)) for one in (pool, bare))
    assert whole == less


def test_what_strategies_look_at_is_measured() -> None:
    """Each name is that of a signal, and no signal is read for a strategy that looks at none."""
    measured = {field.name for field in fields(Signals)}
    for name in (*STRATEGIES, LIKE_THIS):
        assert signals_of(name) <= measured
        assert bool(signals_of(name)) == (Part.SIGNALS in looks_at(name))


@every_strategy
def test_the_same_seed_gives_the_same_picks(name: str) -> None:
    one, other = (
        strategy_of(name, pool)(pool, np.arange(60), 15, np.random.default_rng(9))
        for pool in (random_pool(60), random_pool(60))
    )
    assert one == other


@every_strategy
def test_images_that_are_all_alike_are_chosen_all_the_same(name: str) -> None:
    """Nothing tells them apart; the budget is met, no item twice."""
    alike = normalised(np.ones((30, 4)))
    same = {signal: np.full(30, 0.5) for signal in SIGNALS}
    pool = pool_of(alike, risk=np.full(30, 0.5), signals=same)
    assert len({pick.row for pick in strategy_of(name, pool)(pool, np.arange(30), 20, np.random.default_rng(0))}) == 20


@every_strategy
def test_a_pool_without_a_detection_is_chosen_from(name: str) -> None:
    none = Objects(
        rows=np.empty(0, dtype=np.int64),
        classes=np.empty(0, dtype=np.int64),
        scores=np.empty(0),
        features=np.empty((0, 4), dtype=np.float32),
    )
    pool = replace(random_pool(12), objects=none, risk=np.zeros(12))
    assert len(strategy_of(name, pool)(pool, np.arange(12), 5, np.random.default_rng(0))) == 5


@every_strategy
def test_what_is_labelled_does_not_keep_it_from_choosing(name: str) -> None:
    embeddings, _ = clusters((10, 10))
    pool = pool_of(embeddings, labelled=embeddings)
    assert len(strategy_of(name, pool)(pool, np.arange(20), 6, np.random.default_rng(0))) == 6


@every_strategy
@pytest.mark.parametrize("part", ["embeddings", "labelled"])
def test_an_embedding_that_is_none_is_refused(name: str, part: str) -> None:
    """Of what may be chosen and of what is labelled, whatever looks at it."""
    pool = replace(random_pool(9), labelled=random_pool(3, seed=1).embeddings)
    getattr(pool, part)[2, 1] = np.nan
    with pytest.raises(Invalid, match="holds NaN or infinity"):
        choose(pool, {name: 1.0}, 3, seed=0, also={LIKE_THIS: strategy_of(LIKE_THIS, pool)})


@every_strategy
def test_a_pool_stays_as_it_is(name: str) -> None:
    """A mix of strategies looks at one pool, one after the other."""
    pool, as_it_was = random_pool(40), random_pool(40)
    strategy_of(name, pool)(pool, np.arange(40), 10, np.random.default_rng(0))
    assert np.array_equal(pool.embeddings, as_it_was.embeddings) and np.array_equal(pool.risk, as_it_was.risk)
    assert all(np.array_equal(pool.signals[signal], as_it_was.signals[signal]) for signal in SIGNALS)
    assert np.array_equal(pool.objects.scores, as_it_was.objects.scores)
    assert np.array_equal(pool.objects.features, as_it_was.objects.features)


# --- sharing a budget ----------------------------------------------------------------------------


def test_a_budget_is_shared_and_the_draw_knows_its_probability() -> None:
    chosen = choose(random_pool(200), mixed({"hybrid": 60, "anomaly": 20, "random": 20}), 50, seed=1)
    counts = {name: sum(one.strategy == name for one in chosen) for name in ("hybrid", "anomaly", "random")}
    assert counts == {"hybrid": 30, "anomaly": 10, "random": 10}
    assert len({one.pick.row for one in chosen}) == 50
    assert {one.inclusion_probability for one in chosen} == {None, 10 / 200}


def test_a_draw_at_random_is_in_every_budget() -> None:
    assert mixed({"hybrid": 1.0}) == pytest.approx({"random": 0.15, "hybrid": 0.85})
    assert mixed({"random": 3.0}) == {"random": 1.0}
    assert mixed({"hybrid": 1.0}, 0.0) == {"hybrid": 1.0}
    assert mixed({"hybrid": 1e308, "anomaly": 1e308}, 0.0) == {"hybrid": 0.5, "anomaly": 0.5}


@given(
    parts=st.dictionaries(st.sampled_from(sorted(STRATEGIES)), st.floats(0.01, 100.0), min_size=1),
    lot=st.floats(0.0, 1.0),
    budget=st.integers(1, 60),
)
def test_shares_add_up_and_budgets_are_met(parts: dict[str, float], lot: float, budget: int) -> None:
    mix = mixed(parts, lot)
    assert sum(mix.values()) == pytest.approx(1.0)
    if lot:
        assert mix["random"] >= lot - 1e-9 or set(parts) == {"random"}
    assert len(choose(random_pool(40), mix, budget, seed=0)) == min(budget, 40)


def test_each_item_is_drawn_as_often_as_its_probability_says() -> None:
    pool, draws = random_pool(20), 400
    counts = np.zeros(20)
    for seed in range(draws):
        for one in choose(pool, {"random": 0.2, "entropy": 0.8}, 10, seed=seed):
            counts[one.pick.row] += one.strategy == "random"
    expected, deviation = draws * 2 / 20, np.sqrt(draws * 0.1 * 0.9)
    assert np.all(np.abs(counts - expected) < 4.5 * deviation)


@pytest.mark.parametrize("budget", [1, 2, 3, 5])
def test_the_smallest_budget_has_its_draw(budget: int) -> None:
    """As often as its share says: an item of which there is only a part is drawn with that probability."""
    pool, draws = random_pool(20), 600
    chosen = [choose(pool, mixed({"core-set": 1.0}), budget, seed=seed) for seed in range(draws)]
    drawn = np.array([sum(one.strategy == "random" for one in each) for each in chosen])
    assert all(len(each) == budget for each in chosen)
    assert set(drawn) == {int(0.15 * budget), int(0.15 * budget) + 1}
    part = 0.15 * budget % 1.0
    assert abs(drawn.mean() - 0.15 * budget) < 4.5 * np.sqrt(part * (1.0 - part) / draws)
    probabilities = {one.inclusion_probability for each in chosen for one in each if one.strategy == "random"}
    assert list(probabilities) == pytest.approx([0.15 * budget / 20])


@pytest.mark.parametrize(
    ("mix", "budget", "words"),
    [
        ({"hybird": 1.0}, 5, "'hybird' is not known"),
        ({}, 5, "no strategy is named"),
        ({"hybrid": 0.0}, 5, "cannot have the share 0"),
        ({"hybrid": float("nan")}, 5, "cannot have the share nan"),
        ({"hybrid": 1.0}, 0, "a budget of 0 chooses nothing"),
        ({"hybrid": 1.0}, -3, "a budget of -3"),
    ],
)
def test_what_cannot_be_chosen_by_is_refused(mix: dict[str, float], budget: int, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        choose(random_pool(5), mixed(mix), budget, seed=0)


def test_a_name_with_a_typo_is_answered_with_the_nearest() -> None:
    with pytest.raises(Invalid) as caught:
        strategy("hybird")
    assert "Did you mean hybrid?" in caught.value.hint
    with pytest.raises(Invalid) as caught:
        strategy("like-thsi")
    assert "Did you mean like-this?" in caught.value.hint


@pytest.mark.parametrize("part", ["embeddings", "risk", "signals"])
def test_a_number_that_is_none_is_refused_with_its_item(part: str) -> None:
    pool = random_pool(9)
    if part == "embeddings":
        pool.embeddings[7, 2] = np.nan
    elif part == "risk":
        pool.risk[7] = np.inf
    else:
        pool.signals["anomaly_p"][7] = np.nan
    with pytest.raises(Invalid, match=r"of item 0000.* holds NaN") as caught:
        choose(pool, {"random": 1.0}, 3, seed=0)
    assert caught.value.ids["item"] == pool.keys[7]


def test_so_is_one_of_what_is_labelled_or_of_a_detection() -> None:
    """What was labelled elsewhere has no item to name; of detections the first that is at fault has."""
    labelled = np.ones((3, 8), dtype=np.float32)
    labelled[1, 5] = np.nan
    with pytest.raises(Invalid, match="what is labelled"):
        choose(replace(random_pool(5, d=8), labelled=labelled), {"core-set": 1.0}, 3, seed=0)
    rows, scores, features = np.array([0, 2, 3]), np.full(3, 0.5), np.eye(3, dtype=np.float32)
    sound = Objects(rows=rows, classes=np.zeros(3, dtype=np.int64), scores=scores, features=features)
    pool = pool_of(normalised(np.eye(5)), objects=sound)
    for objects in (
        replace(sound, scores=np.array([0.5, np.inf, np.nan])),
        replace(sound, features=np.where(np.arange(3)[:, None] == 1, np.nan, features)),
    ):
        with pytest.raises(Invalid, match="the detections of item") as caught:
            choose(replace(pool, objects=objects), {"random": 1.0}, 3, seed=0)
        assert caught.value.ids["item"] == pool.keys[2]


def test_labels_of_another_embedding_space_are_refused() -> None:
    pool = replace(random_pool(5, d=8), labelled=np.ones((2, 6), dtype=np.float32))
    with pytest.raises(Invalid, match="different spaces"):
        choose(pool, {"random": 1.0}, 3, seed=0)


# --- k-center ------------------------------------------------------------------------------------


def plain_k_center(points: NDArray[np.float32], centres: NDArray[np.float32], k: int) -> list[int]:
    nearest = np.full(len(points), -2.0)
    for centre in centres:
        nearest = np.maximum(nearest, points @ centre)
    rows: list[int] = []
    for _ in range(min(k, len(points))):
        nearest[rows] = np.inf
        rows.append(int(np.argmin(nearest)))
        nearest = np.maximum(nearest, points @ points[rows[-1]])
    return rows


@pytest.mark.parametrize("d", [2, 8, 64])
@pytest.mark.parametrize("labelled", [0, 3])
def test_speculative_k_center_is_the_plain_one(d: int, labelled: int) -> None:
    rng = np.random.default_rng(d)
    points, centres = normalised(rng.normal(size=(500, d))), normalised(rng.normal(size=(labelled or 1, d)))[:labelled]
    found = k_center(Coverage.of(points, centres), 60)
    radius = [distance for _, distance in found]
    assert radius == sorted(radius, reverse=True)
    assert [row for row, _ in found] == plain_k_center(points, centres, 60)


def test_k_center_leaves_no_cluster_out() -> None:
    embeddings, own = clusters((200, 5, 5, 5))
    picks = STRATEGIES["core-set"](pool_of(embeddings), np.arange(215), 4, np.random.default_rng(0))
    assert {int(own[pick.row]) for pick in picks} == {0, 1, 2, 3}


# --- what each is for ----------------------------------------------------------------------------


def test_typiclust_takes_the_most_typical_of_each_cluster_and_goes_where_no_label_is() -> None:
    embeddings, own = clusters((40, 30, 20))
    pool = pool_of(embeddings)
    first = STRATEGIES["typiclust"](pool, np.arange(90), 3, np.random.default_rng(0))
    assert sorted(int(own[pick.row]) for pick in first) == [0, 1, 2]
    centre = embeddings[own == 0].mean(axis=0)
    (chosen,) = [pick.row for pick in first if own[pick.row] == 0]
    assert embeddings[chosen] @ centre > np.median(embeddings[own == 0] @ centre)
    labelled = pool_of(embeddings, labelled=embeddings[own != 1][:20])
    (next_one,) = STRATEGIES["typiclust"](labelled, np.arange(90), 1, np.random.default_rng(0))
    assert own[next_one.row] != 0


@pytest.mark.parametrize("name", ["herding", "uncertainty-herding", "balanced-herding"])
def test_herding_covers_the_large_clusters_first(name: str) -> None:
    embeddings, own = clusters((60, 40, 2))
    pool = pool_of(embeddings, risk=np.full(102, 0.5))
    picks = STRATEGIES[name](pool, np.arange(102), 2, np.random.default_rng(0))
    assert [int(own[pick.row]) for pick in picks] == [0, 1]
    gains = [pick.score for pick in STRATEGIES[name](pool, np.arange(102), 30, np.random.default_rng(0))]
    assert gains == sorted(gains, reverse=True)


def test_uncertainty_herding_goes_where_the_risk_is() -> None:
    embeddings, own = clusters((60, 40))
    pool = pool_of(embeddings, risk=np.where(own == 1, 0.9, 0.01))
    (first,) = STRATEGIES["uncertainty-herding"](pool, np.arange(100), 1, np.random.default_rng(0))
    assert own[first.row] == 1


def test_balanced_herding_goes_where_a_rare_label_is_seen() -> None:
    """Among places that are as risky. Where rarity is not known it chooses as uncertainty-herding does."""
    embeddings, own = clusters((50, 40))
    risk = np.full(90, 0.5)
    pool = pool_of(embeddings, risk=risk, signals={"largest_rarity": np.where(own == 1, 0.9, 0.1)})
    (first,) = STRATEGIES["balanced-herding"](pool, np.arange(90), 1, np.random.default_rng(0))
    assert own[first.row] == 1
    pool = replace(pool, signals={})
    picks, plain = (
        STRATEGIES[name](pool, np.arange(90), 5, np.random.default_rng(0))
        for name in ("balanced-herding", "uncertainty-herding")
    )
    assert [one.row for one in picks] == [one.row for one in plain]


def test_balanced_herding_goes_where_much_is_seen_of_what_the_model_is_bad_at() -> None:
    """Among places that are as risky. A class that comes in dozens says no more than one that comes alone, and where
    the model is as good at all classes it chooses as uncertainty-herding does."""
    embeddings, own = clusters((50, 40))
    # One of class 0 in each image, a dozen of class 2, and of class 1 one in the first cluster, three in the second.
    counts = np.stack([np.ones(90), np.where(own == 1, 3, 1), np.full(90, 12)], axis=1).astype(int)
    rows = np.repeat(np.arange(90), counts.sum(axis=1))
    classes = np.concatenate([np.repeat([0, 1, 2], each) for each in counts])
    objects = Objects(rows=rows, classes=classes, scores=np.full(len(rows), 0.5))
    pool = pool_of(embeddings, risk=np.full(90, 0.5), objects=objects, signals={"largest_rarity": np.zeros(90)})
    weak = replace(pool, class_quality=np.array([0.9, 0.1, 0.6]))
    (first,) = STRATEGIES["balanced-herding"](weak, np.arange(90), 1, np.random.default_rng(0))
    assert own[first.row] == 1
    seen = weak_classes_seen(weak)
    usual = counts[:, 1].mean()
    assert np.allclose(seen, 0.64 * counts[:, 1] / usual + 0.09)
    even = replace(pool, class_quality=np.full(3, 0.4))
    picks, plain = (
        STRATEGIES[name](even, np.arange(90), 5, np.random.default_rng(0))
        for name in ("balanced-herding", "uncertainty-herding")
    )
    assert [one.row for one in picks] == [one.row for one in plain]


def test_hybrid_takes_one_of_many_risky_near_duplicates() -> None:
    embeddings, own = clusters((50, 10, 10), spread=0.001)
    pool = pool_of(embeddings, risk=np.where(own == 0, 0.9, 0.5))
    picks = STRATEGIES["hybrid"](pool, np.arange(70), 3, np.random.default_rng(0))
    assert own[picks[0].row] == 0
    assert {int(own[pick.row]) for pick in picks} == {0, 1, 2}


def test_hybrid_sees_to_classes_that_are_short() -> None:
    embeddings = normalised(np.random.default_rng(0).normal(size=(100, 32)))
    classes = np.where(np.arange(100) < 90, 0, 1)
    objects = Objects(rows=np.arange(100), classes=classes, scores=np.full(100, 0.6))
    pool = pool_of(embeddings, risk=np.full(100, 0.5), objects=objects)
    picks = STRATEGIES["hybrid"](pool, np.arange(100), 10, np.random.default_rng(0))
    assert sum(classes[pick.row] for pick in picks) >= 4  # a tenth of the pool


def test_anomalies_are_thinned() -> None:
    embeddings, own = clusters((20, 20), spread=0.0001)
    pool = pool_of(embeddings, signals={"anomaly_p": np.where(own == 0, 0.01, 0.5)})
    first, second, third = STRATEGIES["anomaly"](pool, np.arange(40), 3, np.random.default_rng(0))
    assert (own[first.row], own[second.row], own[third.row]) == (0, 1, 0)
    assert "1.0% of the training images" in first.reason


def test_uncertainty_takes_the_largest_and_of_equals_any() -> None:
    values = np.array([0.1, 0.9, 0.5, 0.5, 0.5, 0.2])
    pool = pool_of(normalised(np.eye(6)), signals={"sum_class_entropy": values})
    drawn = {
        tuple(pick.row for pick in STRATEGIES["entropy"](pool, np.arange(6), 2, np.random.default_rng(seed)))
        for seed in range(30)
    }
    assert drawn == {(1, 2), (1, 3), (1, 4)}


@pytest.mark.parametrize("name", ["entropy", "mean-entropy", "max-entropy", "least-confidence", "margin"])
def test_an_image_without_detections_counts_as_the_mean_of_the_pool(name: str) -> None:
    """Neither first nor last, whatever its own signals say; of several that first in which most was nearly detected."""
    own = {signal: np.array([0.9, 1.0, 0.7, 1.0, 0.2, 0.0]) for signal in SIGNALS}
    seen = Objects(rows=np.array([0, 2, 4]), classes=np.zeros(3, dtype=np.int64), scores=np.full(3, 0.5))
    nearly = np.array([9.0, 0.1, 0.0, 0.8, 0.0, 0.3])
    pool = pool_of(normalised(np.eye(6)), signals=own | {"near_threshold_mass": nearly}, objects=seen)
    picks = STRATEGIES[name](pool, np.arange(6), 6, np.random.default_rng(0))
    assert [pick.row for pick in picks] == [0, 2, 3, 5, 1, 4]
    assert [pick.reason.startswith("nothing detected") for pick in picks] == [False, False, True, True, True, False]
    assert picks[2].score == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("name", "worth"),
    [
        ("sum-entropy", [1.3502865, 0.8812909, 0.8812909]),
        ("mean-least-confidence", [0.4, 0.5, 0.7]), ("sum-least-confidence", [0.8, 0.65, 0.7]),
        ("mean-margin", [0.8, 0.6, 0.5]), ("sum-margin", [1.6, 1.05, 0.5]),
    ],
)  # fmt: skip
def test_the_mean_and_the_sum_are_over_all_detections_of_an_image(name: str, worth: list[float]) -> None:
    """Of 1 - score, of 1 - margin; an image without detections (the second) counts as the mean of the others."""
    seen = Objects(
        rows=np.array([0, 0, 2]),
        classes=np.zeros(3, dtype=np.int64),
        scores=np.array([0.9, 0.3, 0.3]),
        margins=np.array([0.3, 0.1, 0.5]),
    )
    mean = (worth[0] + worth[2]) / 2
    picks = STRATEGIES[name](pool_of(normalised(np.eye(3)), objects=seen), np.arange(3), 3, np.random.default_rng(0))
    expected = {0: worth[0], 1: mean, 2: worth[2]}
    assert {pick.row: pick.score for pick in picks} == pytest.approx(expected)
    assert [pick.row for pick in picks] == sorted(expected, key=lambda row: -expected[row])
    assert picks[1].reason.startswith("nothing detected")


def test_entropies_over_all_labels_are_ranked_by_their_mean_or_their_largest() -> None:
    """Six bits of two detections are less than four of one; an image without any (the third) is as their mean."""
    kept = {"sum_class_entropy": np.array([6.0, 4.0, 0.0]), "count": np.array([2.0, 1.0, 0.0])}
    signals = kept | {"max_class_entropy": np.array([5.0, 4.0, 1.0])}
    seen = Objects(rows=np.array([0, 0, 1]), classes=np.zeros(3, dtype=np.int64), scores=np.full(3, 0.5))
    pool = pool_of(normalised(np.eye(3)), signals=signals, objects=seen)
    for name, expected in (("mean-class-entropy", [(1, 4.0), (2, 3.5), (0, 3.0)]),
                           ("max-class-entropy", [(0, 5.0), (2, 4.5), (1, 4.0)])):  # fmt: skip
        picks = STRATEGIES[name](pool, np.arange(3), 3, np.random.default_rng(0))
        assert [(pick.row, pick.score) for pick in picks] == expected


def test_predictions_from_before_a_signal_was_measured_cannot_be_ranked_by_it() -> None:
    """By the mean over labels they can: it follows from what all have."""
    pool = random_pool(5)
    older = replace(pool, signals={name: pool.signals[name] for name in pool.signals if name != "max_class_entropy"})
    with pytest.raises(Invalid, match="without the signal max_class_entropy"):
        STRATEGIES["max-class-entropy"](older, np.arange(5), 2, np.random.default_rng(0))
    assert len(STRATEGIES["mean-class-entropy"](older, np.arange(5), 2, np.random.default_rng(0))) == 2


@pytest.mark.parametrize("name", ["mean-margin", "sum-margin", "sum-margin-enms"])
def test_detections_from_before_margins_were_kept_cannot_be_ranked_by_them(name: str) -> None:
    """What is needed, and what goes without it, is said."""
    pool = random_pool(5)
    margins = np.where(pool.objects.rows < 2, np.nan, 0.5)
    older = replace(pool, objects=replace(pool.objects, margins=margins))
    with pytest.raises(Invalid, match="2 of the 5 items have detections without a margin") as caught:
        STRATEGIES[name](older, np.arange(5), 2, np.random.default_rng(0))
    assert "or choose margin" in caught.value.hint


def test_where_nothing_is_detected_at_all_what_was_nearly_is_taken() -> None:
    """There is no mean then."""
    nothing = Objects(rows=np.empty(0, dtype=np.int64), classes=np.empty(0, dtype=np.int64), scores=np.empty(0))
    nearly = {"near_threshold_mass": np.array([0.1, 0.5, 0.3]), "mean_entropy": np.ones(3)}
    pool = pool_of(normalised(np.eye(3)), signals=nearly, objects=nothing)
    picks = STRATEGIES["mean-entropy"](pool, np.arange(3), 3, np.random.default_rng(0))
    assert [pick.row for pick in picks] == [1, 2, 0]


def test_the_least_consistent_and_the_rarest_come_first() -> None:
    """Low consistency is what teaches (CALD), high rarity is what is short."""
    values = np.array([0.7, 0.1, 1.3, 0.4])
    pool = pool_of(normalised(np.eye(4)), signals={"consistency": values, "sum_rarity": values})
    for name, expected in (("consistency", [1, 3]), ("rarity", [2, 0])):
        picks = STRATEGIES[name](pool, np.arange(4), 2, np.random.default_rng(0))
        assert [pick.row for pick in picks] == expected


def test_a_strategy_says_which_signal_was_not_measured() -> None:
    pool = random_pool(5)
    without = {name: values for name, values in pool.signals.items() if name != "consistency"}
    with pytest.raises(Invalid, match="without the signal consistency") as caught:
        STRATEGIES["consistency"](replace(pool, signals=without), np.arange(5), 2, np.random.default_rng(0))
    assert "annotation.consistency" in caught.value.hint


def test_neighbours_of_failures_are_taken_in_turn() -> None:
    embeddings, own = clusters((30, 30, 30))
    mine = resembling(normalised(np.eye(16)[:2]), ["failure 1", "failure 2"])
    picks = mine(pool_of(embeddings), np.arange(90), 10, np.random.default_rng(0))
    assert sorted(int(own[pick.row]) for pick in picks) == [0] * 5 + [1] * 5
    assert all("failure" in pick.reason for pick in picks)


def test_what_is_like_several_is_told_by_the_nearest() -> None:
    """And is one pick."""
    queries = normalised(np.array([[1.0, 0.1], [1.0, 0.0]]))
    pool = pool_of(normalised(np.array([[1.0, 0.0], [1.0, 0.05], [0.0, 1.0]])))
    picks = resembling(queries, ["one", "other"])(pool, np.arange(3), 3, np.random.default_rng(0))
    assert [(pick.row, pick.reason) for pick in picks] == [
        (0, "like other: cosine 1.000"),
        (1, "like one: cosine 0.999"),
        (2, "like one: cosine 0.100"),
    ]


def test_like_this_takes_the_nearest_and_says_to_what() -> None:
    """One point: its neighbours by cosine, whatever was drawn; the same for an object, by the best of an item's."""
    pool, query = random_pool(50), normalised(np.ones((1, 8)))
    nearest_first = np.argsort(-(pool.embeddings @ query[0]))[:6].tolist()
    for seed in (0, 1):
        picks = resembling(query, ["item 9f2c"])(pool, np.arange(50), 6, np.random.default_rng(seed))
        assert [pick.row for pick in picks] == nearest_first
        assert all(pick.reason == f"like item 9f2c: cosine {pick.score:.3f}" for pick in picks)
    features = normalised(np.eye(4)[[0, 1, 2, 0, 3]] + 0.01)
    objects = Objects(
        rows=np.array([0, 0, 1, 2, 3]), classes=np.zeros(5, dtype=np.int64), scores=np.ones(5), features=features
    )
    pool = pool_of(normalised(np.eye(5)), objects=objects)
    wanted = resembling(np.empty((0, 5), np.float32), ["box 1"], objects=normalised(np.eye(4)[1:2] + 0.01))
    picks = wanted(pool, np.arange(5), 5, np.random.default_rng(0))
    assert picks[0].row == 0 and picks[0].score == pytest.approx(1.0)
    assert picks[-1].row == 4 and picks[-1].reason == "not like box 1: nothing else was left"  # it shows no object


@pytest.mark.parametrize(
    ("queries", "objects", "words"),
    [
        (np.empty((0, 8)), None, "like-this needs something to resemble"),
        (np.empty((0, 8)), np.empty((0, 4)), "like-this needs something to resemble"),
        (np.array([[1.0, 0.0], [np.nan, 1.0]]), None, "the embedding of second holds NaN"),
        (np.array([[1.0, 0.0]]), np.array([[np.inf, 0.0]]), "the embedding of second holds NaN"),
    ],
)
def test_what_cannot_be_resembled_is_refused(queries, objects, words: str) -> None:
    names = ["first", "second"][: len(queries) + (0 if objects is None else len(objects))]
    with pytest.raises(Invalid, match=words):
        resembling(queries, names, objects=objects)


def test_ppal_weighs_what_the_model_is_bad_at() -> None:
    objects = Objects(rows=np.arange(2), classes=np.array([0, 1]), scores=np.full(2, 0.5))
    pool = replace(pool_of(normalised(np.eye(2)), objects=objects), class_quality=np.array([1.0, 0.0, 1.0]))
    assert difficulties(pool) == pytest.approx([1.0, 1.2])  # bits; 1 + β, as β·α·log(1 + e^(1/α) - 1) = β


def test_ppal_counts_an_image_without_detections_as_the_mean_of_the_pool() -> None:
    """The first that is compared is the most difficult; with a budget for all each is told as what it counts."""
    objects = Objects(
        rows=np.array([0, 2]), classes=np.zeros(2, dtype=np.int64), scores=np.array([0.5, 1.0]), features=np.eye(2)
    )
    nearly = {"near_threshold_mass": np.array([0.0, 0.1, 0.0, 0.2])}
    pool = pool_of(normalised(np.eye(4)), objects=objects, signals=nearly)
    picks = STRATEGIES["ppal"](pool, np.arange(4), 4, np.random.default_rng(0))
    assert [(pick.row, pick.score) for pick in picks] == [(0, 1.0), (3, 0.5), (1, 0.5), (2, 0.0)]
    assert [pick.reason.startswith("nothing detected") for pick in picks] == [False, True, True, False]


def test_ppal_takes_detections_that_differ() -> None:
    """Four kinds of detections, ten images of each: one pick of each kind, though one kind is the most difficult."""
    kinds = np.repeat(np.arange(4), 10)
    rng = np.random.default_rng(2)
    objects = Objects(
        rows=np.arange(40),
        classes=np.zeros(40, dtype=np.int64),
        scores=0.5 + 0.01 * kinds,
        features=normalised(np.eye(4)[kinds] + 0.01 * rng.normal(size=(40, 4))),
    )
    picks = STRATEGIES["ppal"](pool_of(normalised(np.ones((40, 3))), objects=objects), np.arange(40), 10, rng)
    assert {int(kinds[pick.row]) for pick in picks} == {0, 1, 2, 3}


def test_ppal_compares_no_more_than_it_can() -> None:
    """All pairs of four times the budget: of too many it says so, before it begins."""
    objects = Objects(
        rows=np.arange(1), classes=np.zeros(1, dtype=np.int64), scores=np.ones(1), features=np.ones((1, 2))
    )
    with pytest.raises(Invalid, match="ppal cannot choose 2,001 items") as refused:
        STRATEGIES["ppal"](
            pool_of(normalised(np.eye(2)), objects=objects), np.arange(2), 2001, np.random.default_rng(0)
        )
    assert "core-set" in refused.value.hint


@pytest.mark.parametrize("name", ["ppal", "entropy-enms", "mean-margin-enms"])
@pytest.mark.parametrize(("without", "words"), [(0, "this pool has no embeddings"), (3, "3 of 5 items have no")])
def test_what_compares_detections_needs_their_embeddings(name: str, without: int, words: str) -> None:
    pool = random_pool(5)
    bare = replace(pool, objects=replace(pool.objects, features=None, without=without))
    with pytest.raises(Invalid, match=words) as caught:
        STRATEGIES[name](bare, np.arange(5), 2, np.random.default_rng(0))
    assert "object_embeddings=true" in caught.value.hint


def test_entropy_enms_counts_what_looks_alike_once() -> None:
    """Four alike of one class count as one, of two classes as two; two that differ count twice."""
    rows = np.repeat(np.arange(4), 4)
    features = normalised(np.eye(8)[[0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7]])
    classes = np.array([0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0])
    objects = Objects(rows=rows, classes=classes, scores=np.full(16, 0.5), features=features)
    pool = pool_of(normalised(np.ones((4, 3))), objects=objects)
    picks = STRATEGIES["entropy-enms"](pool, np.arange(4), 4, np.random.default_rng(0))
    assert {pick.row: pick.score for pick in picks} == {0: 1.0, 1: 2.0, 2: 2.0, 3: 4.0}  # bits: 1 for each that counts
    assert picks[0].row == 3 and picks[3].row == 0


@pytest.mark.parametrize(
    ("name", "worth"),
    [
        ("mean-entropy-enms", [0.9709506, 1.0]),
        ("sum-least-confidence-enms", [0.6, 1.0]), ("mean-least-confidence-enms", [0.6, 0.5]),
        ("sum-margin-enms", [0.9, 1.1]), ("mean-margin-enms", [0.9, 0.55]),
    ],
)  # fmt: skip
def test_of_detections_alike_the_least_sure_by_the_measure_counts(name: str, worth: list[float]) -> None:
    """The first image shows one object twice, the second two that differ, the third none: as the mean of the others."""
    objects = Objects(
        rows=np.array([0, 0, 1, 1]),
        classes=np.zeros(4, dtype=np.int64),
        scores=np.array([0.4, 0.9, 0.5, 0.5]),
        margins=np.array([0.4, 0.1, 0.5, 0.4]),
        features=normalised(np.eye(3)[[0, 0, 1, 2]]),
    )
    pool = pool_of(normalised(np.eye(3)), objects=objects)
    picks = STRATEGIES[name](pool, np.arange(3), 3, np.random.default_rng(0))
    assert {pick.row: pick.score for pick in picks} == pytest.approx({0: worth[0], 1: worth[1], 2: sum(worth) / 2})
    assert picks[1].row == 2 and picks[1].reason.startswith("nothing detected")


@given(data=st.data(), m=st.integers(0, 7))
def test_entropy_that_counts_lies_between_the_largest_and_the_sum(data: st.DataObject, m: int) -> None:
    """Whatever the order, and for entropies of 0 and 1 bit, too."""
    entropies = np.array(data.draw(st.lists(st.floats(0.0, 1.0), min_size=m, max_size=m)))
    classes = np.array(data.draw(st.lists(st.integers(0, 1), min_size=m, max_size=m)), dtype=np.int64)
    angles = np.array(data.draw(st.lists(st.floats(0.0, 6.28), min_size=m, max_size=m)))
    features = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32).reshape(m, 2)
    found = entropies[counted(entropies, classes, features)].sum()
    assert entropies.max(initial=0.0) - 1e-9 <= found <= entropies.sum() + 1e-9
    if len(set(entropies.tolist())) == m:  # of equals the first counts
        order = np.random.default_rng(m).permutation(m)
        other = counted(entropies[order], classes[order], features[order])
        assert entropies[order][other].sum() == pytest.approx(found)


@given(seed=st.integers(0, 200), budget=st.integers(1, 12), name=st.sampled_from(["entropy-enms", "mean-margin-enms"]))
def test_enms_need_not_look_at_all_to_find_the_largest(seed: int, budget: int, name: str) -> None:
    """It stops when nothing that is left can reach the picks, and picks what it would have found."""
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.integers(0, 12, 40))
    features = normalised(np.eye(3)[rng.integers(0, 3, 40)] + 0.3 * rng.normal(size=(40, 3)))
    classes, scores, margins = rng.integers(0, 2, 40), rng.uniform(size=40), rng.uniform(size=40)
    objects = Objects(rows=rows, classes=classes, scores=scores, margins=margins, features=features)
    pool = pool_of(normalised(np.ones((12, 3))), objects=objects)
    everything = STRATEGIES[name](pool, np.arange(12), 12, np.random.default_rng(0))
    some = STRATEGIES[name](pool, np.arange(12), budget, np.random.default_rng(0))
    assert [pick.score for pick in some] == [pick.score for pick in everything][:budget]


# --- near-duplicates -----------------------------------------------------------------------------


def test_near_duplicates_come_last() -> None:
    embeddings, own = clusters((5, 5), spread=0.0001)
    assert [int(own[row]) for row in thinned(embeddings, np.arange(10), 4)] == [0, 1, 0, 0]
