"""Two-sample tests on what a model says of images: when they find drift, when they must not, and what they tell."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from loop.domain.errors import BadDataset, Invalid
from loop.domain.prediction import Inference
from loop.domain.production.drift import NOTHING, Origin
from selection.drift import Comparison, Sample, compare, serial_likeness
from selection.pool import Objects
from selection.seen import Seen, seen_in_evaluation
from selection.two_samples import (
    adjusted,
    as_they_are,
    assigned,
    chi_square,
    energy_distance,
    largest_gap,
    medians,
    moved_share,
    p_value,
    resampled,
    told_apart,
)

LABELS = ("circle", "square", "bar")


def sample_of(
    rng: np.random.Generator,
    sizes: list[int],
    *,
    alike: float = 0.0,
    lies: float = 0.0,
    surer: float = 0.0,
    rates: tuple[float, ...] = (1.0, 1.0, 1.0),
) -> Sample:
    """Clips of these sizes. alike: the share of the variance that a clip's images have in common. lies: how far to one
    side the images are, in standard deviations; surer: by how much the scores' logits are larger; rates: objects of
    each class in an image."""
    clip = np.repeat(np.arange(len(sizes)), sizes)

    def drawn(columns: int) -> NDArray[np.float64]:
        shared = rng.normal(size=(len(sizes), columns))[clip]
        return np.sqrt(alike) * shared + np.sqrt(1.0 - alike) * rng.normal(size=(len(clip), columns))

    embeddings = drawn(12)
    embeddings[:, 0] += lies
    crowd = np.exp(drawn(1))  # images differ in how crowded they are
    counts = rng.poisson(np.array(rates) * crowd)
    scores = np.where(counts.any(axis=1), 1.0 / (1.0 + np.exp(-drawn(1)[:, 0] - surer)), 0.0)
    return Sample(
        embeddings=embeddings.astype(np.float32),
        scores=scores,
        counts=counts.astype(np.float64),
        blocks=np.array([f"clip {number}" for number in clip]),
    )


def compared(reference: Sample, recent: Sample, *, permutations: int = 199, seed: int = 0) -> Comparison:
    return compare(reference, recent, labels=LABELS, rng=np.random.default_rng(seed), permutations=permutations)


def p_values(found: Comparison) -> dict[str, float]:
    return {test.name: test.adjusted_p for test in found.tests}


# --- a look ----------------------------------------------------------------------------------------


def test_images_of_one_distribution_are_hardly_ever_found_to_differ() -> None:
    """At a level of 0.05 in about one of twenty looks, whichever test: crowded images do not fool the classes' test."""
    rng = np.random.default_rng(1)
    looks = [compared(sample_of(rng, [1] * 60), sample_of(rng, [1] * 40), permutations=99) for _ in range(200)]
    assert sum(look.differs(0.05) for look in looks) <= 19  # 99.9 % of a binomial of 200 and 0.05
    for number in range(3):
        assert sum(look.tests[number].p <= 0.05 for look in looks) <= 19


def test_clips_are_no_drift() -> None:
    """Images of a clip are alike; taken for independent they differ at once, by clip they do not."""
    rng = np.random.default_rng(2)
    found = {True: 0, False: 0}
    for _ in range(100):
        pair = [sample_of(rng, [8] * 12, alike=0.8) for _ in range(2)]
        for by_clip in found:
            sides = pair if by_clip else [replace(one, blocks=np.arange(len(one)).astype(str)) for one in pair]
            found[by_clip] += compared(*sides, permutations=99).differs(0.05)
    assert found[False] > 60
    assert found[True] <= 12  # 99.5 % of a binomial of 100 and 0.05


@pytest.mark.parametrize("clips_are", ["the reference", "the window"])
def test_clips_on_one_side_only_are_no_drift(clips_are: str) -> None:
    """They are thinned to what the other side has: of each clip one image counts."""
    rng = np.random.default_rng(3)
    found = 0
    for _ in range(100):
        clips, single = sample_of(rng, [10] * 15, alike=0.8), sample_of(rng, [1] * 80)
        pair = (clips, single) if clips_are == "the reference" else (single, clips)
        look = compared(*pair, permutations=99)
        found += look.differs(0.05)
        assert {len(look.reference_rows), len(look.recent_rows)} == {15, 80}
    assert found <= 12


@pytest.mark.parametrize(
    ("change", "finds"),
    [
        ({"lies": 1.0}, {"embeddings"}),
        ({"surer": -1.5}, {"scores"}),
        ({"rates": (0.3, 1.0, 2.5)}, {"classes"}),
        ({"rates": (0.0, 0.0, 0.0)}, {"classes", "scores"}),
    ],
)
def test_each_kind_of_drift_is_found_by_its_test(change: dict[str, float], finds: set[str]) -> None:
    """And by no other, as long as nothing else changes."""
    rng = np.random.default_rng(4)
    found = compared(sample_of(rng, [1] * 200), sample_of(rng, [1] * 150, **change))  # type: ignore[arg-type]
    assert found.differs(0.05)
    assert {name for name, p in p_values(found).items() if p <= 0.05} == finds


def test_a_model_that_finds_nothing_any_more_is_told() -> None:
    """Images without an object count as one of a kind of their own."""
    rng = np.random.default_rng(5)
    look = compared(sample_of(rng, [1] * 60), sample_of(rng, [1] * 40, rates=(0.0, 0.0, 0.0)))
    first = look.classes[0]
    assert (first.label, first.after) == (NOTHING, 1.0)
    assert first.low > 0.5
    assert look.scores.after == 0.0
    both = compared(*(sample_of(rng, [1] * 40, rates=(0.0, 0.0, 0.0)) for _ in range(2)))
    assert p_values(both)["classes"] == 1.0


def test_it_tells_what_moved_and_which_images_are_unlike() -> None:
    rng = np.random.default_rng(6)
    reference, usual = sample_of(rng, [1] * 200), sample_of(rng, [1] * 100)
    new = sample_of(rng, [1] * 50, lies=3.0, rates=(1.0, 1.0, 4.0))
    recent = Sample(
        embeddings=np.concatenate([usual.embeddings, new.embeddings]),
        scores=np.concatenate([usual.scores, new.scores]),
        counts=np.concatenate([usual.counts, new.counts]),
        blocks=np.arange(150).astype(str),
    )
    look = compared(reference, recent)
    is_new = look.recent_rows >= 100
    assert np.mean(look.unlike[is_new]) > 0.95 > 0.65 > np.mean(look.unlike[~is_new])
    moved = look.classes[0]
    assert moved.label == "bar" and moved.after - moved.before > 0.1 and moved.low > 0.0
    assert sum(one.before for one in look.classes) == pytest.approx(1.0)
    assert sum(one.after for one in look.classes) == pytest.approx(1.0)


def test_effects_say_how_much() -> None:
    """More drift, a larger effect, in [0, 1] with its interval around it; none where there is none."""
    rng = np.random.default_rng(7)
    reference = sample_of(rng, [1] * 200)
    effects = []
    for much in (0.0, 1.0, 3.0):
        look = compared(reference, sample_of(rng, [1] * 150, lies=much, surer=-much, rates=(1.0, 1.0, 1.0 + much)))
        assert all(0.0 <= test.low <= test.effect <= test.high <= 1.0 for test in look.tests if much)
        effects.append([test.effect for test in look.tests])
    assert np.all(np.diff(effects, axis=0) > 0.05)
    assert effects[0][0] == pytest.approx(0.5, abs=0.1)
    assert max(effects[0][1:]) < 0.15


def test_a_narrow_direction_counts_as_much_as_a_wide_one() -> None:
    """What images differ by most is not what changes."""
    rng = np.random.default_rng(8)
    wide = 50.0 * rng.normal(size=(300, 1))
    narrow = rng.normal(size=(300, 1)) + np.where(np.arange(300) < 200, 0.0, 1.0)[:, None]
    points = np.concatenate([wide, narrow], axis=1).astype(np.float32)
    everything = replace(sample_of(rng, [1] * 300), embeddings=points)
    look = compared(everything.take(np.arange(200)), everything.take(np.arange(200, 300)))
    assert p_values(look)["embeddings"] <= 0.05


@settings(deadline=None)
@given(data=st.data(), n=st.integers(1, 8), m=st.integers(1, 8))
def test_whatever_the_images_every_number_is_one(data: st.DataObject, n: int, m: int) -> None:
    """Few, equal or empty images give p-values in (0, 1] and effects in [0, 1]."""

    def side(count: int) -> Sample:
        numbers = st.integers(0, 2)
        rows = data.draw(st.lists(st.tuples(numbers, numbers, numbers), min_size=count, max_size=count))
        values = np.array(rows, dtype=np.float64)
        return Sample(
            embeddings=values.astype(np.float32),
            scores=values[:, 0] / 2.0,
            counts=np.column_stack([values[:, 1:], np.zeros(count)]),
            blocks=values[:, 0].astype(str),
        )

    look = compared(side(n), side(m), permutations=9)
    for test in look.tests:
        assert 0.0 < test.p <= test.adjusted_p <= 1.0
        assert 0.0 <= test.low <= test.high <= 1.0 and 0.0 <= test.effect <= 1.0
    assert np.all((look.unlike >= 0.0) & (look.unlike <= 1.0))
    assert len(look.unlike) == len(look.recent_rows) <= m


def test_the_same_images_give_the_same_answer_and_are_left_as_they_are() -> None:
    rng = np.random.default_rng(9)
    pair = [sample_of(rng, [2] * 20) for _ in range(2)]
    before = [one.embeddings.copy() for one in pair]
    one, other = (compared(*pair, seed=3) for _ in range(2))
    assert one.tests == other.tests and one.classes == other.classes
    assert all(np.array_equal(a, b.embeddings) for a, b in zip(before, pair, strict=True))


def test_nothing_cannot_be_compared() -> None:
    rng = np.random.default_rng(10)
    some = sample_of(rng, [1] * 5)
    with pytest.raises(ValueError, match="no images"):
        compared(some, some.take(np.arange(0)))


def test_embeddings_that_are_no_numbers_are_refused() -> None:
    some = sample_of(np.random.default_rng(10), [1] * 5)
    broken = replace(some, embeddings=np.where(np.arange(5)[:, None] == 3, np.nan, some.embeddings))
    with pytest.raises(Invalid, match="NaN"):
        compared(some, broken)


def test_neighbours_of_a_clip_are_alike() -> None:
    rng = np.random.default_rng(11)

    def normalised(sample: Sample) -> NDArray[np.float32]:
        return sample.embeddings / np.linalg.norm(sample.embeddings, axis=1, keepdims=True)

    assert abs(serial_likeness(normalised(sample_of(rng, [1] * 200)))) < 0.1
    assert serial_likeness(normalised(sample_of(rng, [20] * 10, alike=0.9))) > 0.6
    assert serial_likeness(np.ones((5, 1), dtype=np.float32)) == 0.0


# --- statistics -------------------------------------------------------------------------------------


def test_blocks_change_sides_as_a_whole_and_in_equal_numbers() -> None:
    blocks = np.array([0, 0, 0, 1, 2, 3, 3, 4])
    recent = blocks >= 3
    dealt = assigned(blocks, recent, 50, np.random.default_rng(0))
    assert np.array_equal(dealt.recent[0], recent)
    assert np.array_equal(dealt.recent + dealt.reference, np.ones_like(dealt.recent))
    first = np.unique(blocks, return_index=True)[1]
    assert set(dealt.recent[:, first].sum(axis=1)) == {2.0}
    assert np.array_equal(dealt.recent, dealt.recent[:, first][:, blocks])
    drawn = resampled(blocks, recent, 50, np.random.default_rng(0))
    assert set(drawn.recent[:, first].sum(axis=1)) == {2.0} and set(drawn.reference[:, first].sum(axis=1)) == {3.0}
    assert not drawn.recent[:, ~recent].any() and not drawn.reference[:, recent].any()


def test_energy_distance_is_that_of_its_definition() -> None:
    """Over pairs of different blocks, one by one."""
    rng = np.random.default_rng(0)
    points, blocks = rng.normal(size=(9, 3)), np.array([0, 0, 1, 2, 3, 3, 4, 5, 5])
    recent = blocks >= 3

    def mean(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
        pairs = [(i, j) for i in np.flatnonzero(one) for j in np.flatnonzero(other) if blocks[i] != blocks[j]]
        return float(np.mean([np.linalg.norm(points[i] - points[j]) for i, j in pairs]))

    wanted = 2 * mean(recent, ~recent) - mean(recent, recent) - mean(~recent, ~recent)
    assert energy_distance(points, blocks, as_they_are(recent))[0] == pytest.approx(wanted)


def test_statistics_are_those_of_scipy() -> None:
    from scipy import stats
    from sklearn.metrics import roc_auc_score

    rng = np.random.default_rng(0)
    recent = np.arange(60) < 25
    values = rng.integers(0, 12, 60) / 10.0  # with ties
    counts = rng.poisson(1.0, size=(60, 4)).astype(np.float64)
    found = as_they_are(recent)
    assert largest_gap(values, found)[0] == pytest.approx(stats.ks_2samp(values[recent], values[~recent]).statistic)
    table = np.stack([counts[recent].sum(axis=0), counts[~recent].sum(axis=0)])
    assert chi_square(counts, found)[0] == pytest.approx(stats.chi2_contingency(table, correction=False).statistic)
    shares = table / table.sum(axis=1, keepdims=True)
    assert moved_share(counts, found)[0] == pytest.approx(np.abs(shares[0] - shares[1]).sum() / 2)
    assert told_apart(values, found)[0] == pytest.approx(roc_auc_score(recent, values))
    assert medians(values, found.recent)[0] == np.sort(values[recent])[12]
    p = np.array([0.01, 0.04, 0.03, 0.5])
    assert adjusted(p) == pytest.approx(stats.false_discovery_control(p))
    assert (adjusted(p) >= p).all()


def test_what_is_adjusted_is_never_below_what_was_found() -> None:
    """However numbers are rounded."""
    p = np.array([0.7, 0.7, 0.7])
    assert (adjusted(p) >= p).all()


def test_a_p_value_counts_what_is_as_large_by_chance() -> None:
    assert p_value(np.array([3.0, 1.0, 3.0, 2.0])) == 2 / 4
    assert p_value(np.array([3.0, 1.0, 1.0, 1.0])) == 1 / 4
    assert p_value(np.array([0.3, 0.1 + 0.2, 0.0, 0.0])) == 2 / 4  # the last bit is no difference


# --- what is kept -------------------------------------------------------------------------------------


def seen_of(scores: list[list[float]]) -> Seen:
    """An image for each list, with detections of these scores, all of the second class."""
    counts = [len(one) for one in scores]
    return Seen(
        origin=Origin.EVALUATION,
        embeddings=np.eye(len(scores), 4, dtype=np.float32),
        objects=Objects(
            rows=np.repeat(np.arange(len(scores)), counts),
            classes=np.ones(sum(counts), dtype=np.int64),
            scores=np.array([score for one in scores for score in one]),
        ),
        blocks=np.array([f"b{number}" for number in range(len(scores))]),
        threshold=0.01,
        until=7,
    )


def test_what_was_seen_comes_back_from_its_bytes() -> None:
    seen = seen_of([[0.9, 0.1], [], [0.4]])
    again = Seen.read(seen.to_bytes())
    assert (again.origin, again.threshold, again.until, again.units) == (seen.origin, 0.01, 7, 3)
    assert np.array_equal(again.embeddings, seen.embeddings) and np.array_equal(again.blocks, seen.blocks)
    assert np.array_equal(again.objects.scores, seen.objects.scores)
    for bytes_ in (b"", b"PK\x03\x04", b"\x80\x04K\x01.", seen.to_bytes()[:-30]):
        with pytest.raises(BadDataset):
            Seen.read(bytes_)


def test_detections_count_from_the_score_that_both_sides_know() -> None:
    """What an evaluation kept below the policy's threshold, production never had."""
    sample = seen_of([[0.9, 0.1], [], [0.2, 0.4]]).sample(0.3, classes=3)
    assert sample.scores.tolist() == [0.9, 0.0, 0.4]
    assert sample.counts.tolist() == [[0, 1, 0], [0, 0, 0], [0, 1, 0]]


def test_an_evaluation_is_kept_as_it_was() -> None:
    def inference(scores: list[float]) -> Inference:
        count = len(scores)
        return Inference(
            boxes=np.zeros((count, 4), np.float32),
            scores=np.array(scores, np.float32),
            classes=np.arange(count),
            class_scores=np.zeros((count, 3), np.float32),
            embedding=np.ones(2, np.float32),
        )

    seen = seen_in_evaluation([inference([0.5, 0.25]), inference([]), inference([0.75])], ["g", "g", "h"], floor=0.01)
    assert seen.objects.rows.tolist() == [0, 0, 2] and seen.objects.classes.tolist() == [0, 1, 0]
    assert (len(seen), seen.units, seen.until, seen.threshold, seen.enough) == (3, 2, 0, 0.01, False)
