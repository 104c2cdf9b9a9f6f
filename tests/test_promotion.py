"""The promotion gate: what each clause refuses, and how often it is wrong."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from benchmarks.simulated_detectors import Pool, Skill, pool
from loop.domain.errors import BadDataset, SettingsError
from training.evaluate import Evaluation, Found, Truth, evaluate
from training.gate_clauses import WORN, Beside, Circumstances, GateMode, GateSettings, holm
from training.promotion import GateDecision, decide

LABELS = ("bolt", "nut", "pen")
BOX = np.array([[10.0, 10, 50, 50]])


def images(*rows: tuple[int, bool], n_classes: int = 3) -> Evaluation:
    """One image with one object per row (class, whether it is found exactly)."""
    truths = [Truth(BOX, np.array([label])) for label, _ in rows]
    found = [Found(BOX[:hit], np.full(int(hit), 0.9), np.full(int(hit), label, dtype=int)) for label, hit in rows]
    return evaluate(found, truths, n_classes=n_classes)


def gate(
    champion: Evaluation | None,
    candidate: Evaluation,
    groups: np.ndarray | None = None,
    seed: int = 0,
    known: Circumstances | None = None,
    **settings: object,
) -> GateDecision:
    return decide(
        champion,
        candidate,
        labels=LABELS[: candidate.n_classes],
        settings=GateSettings(**{"resamples": 400, **settings}),
        rng=np.random.default_rng(seed),
        groups=groups,
        known=known,
    )


def failed(decision: GateDecision) -> list[str]:
    return [clause.name for clause in decision.clauses if not clause.passed]


BAD = images(*[(0, i % 2 == 0) for i in range(60)])
GOOD = images(*[(0, i % 10 != 0) for i in range(60)])


def test_a_clearly_better_candidate_is_promoted():
    """Evidence that the candidate is better, and none that a class suffers: every clause passes."""
    decision = gate(BAD, GOOD)
    assert decision.promoted
    assert failed(decision) == []
    assert decision.delta == pytest.approx(GOOD.map50_95 - BAD.map50_95)
    assert 0 < decision.lower_bound < decision.delta
    low, high = decision.interval
    assert low <= decision.lower_bound < decision.delta < high


def test_a_worse_candidate_is_refused_in_both_modes():
    """No mode lets a clearly worse candidate serve; the clause says by how much it failed."""
    for mode, clause in ((GateMode.SUPERIOR, "better"), (GateMode.NON_INFERIOR, "not worse")):
        decision = gate(GOOD, BAD, mode=mode)
        assert not decision.promoted
        assert clause in failed(decision)
        (told,) = [c for c in decision.clauses if c.name == clause]
        assert told.numbers["lower_bound"] == decision.lower_bound < told.numbers["required"]


def test_the_same_model_is_no_better_and_no_worse():
    """The champion against itself: refused as superior, accepted as non-inferior."""
    assert failed(gate(GOOD, GOOD)) == ["better"]
    assert gate(GOOD, GOOD, mode=GateMode.NON_INFERIOR).promoted


def test_a_class_that_suffers_stops_the_promotion():
    """Much better overall, but one class with enough boxes is clearly worse: that class is named."""
    before = images(*[(0, i % 4 == 0) for i in range(60)], *[(1, True)] * 30)
    after = images(*[(0, True)] * 60, *[(1, i % 3 > 0) for i in range(30)])
    decision = gate(before, after)
    assert decision.delta > 0.2
    assert failed(decision) == ["class nut"]
    assert not decision.promoted


def test_small_classes_do_not_decide():
    """A class with fewer than min_class_boxes boxes has no clause."""
    before = images(*[(0, i % 4 == 0) for i in range(60)], *[(1, True)] * 19)
    after = images(*[(0, True)] * 60, *[(1, i % 3 > 0) for i in range(19)])
    assert [c.name for c in gate(before, after).clauses] == ["evidence", "better", "class bolt", "calibration"]
    assert gate(before, after).promoted
    assert "class nut" in failed(gate(before, after, min_class_boxes=19))


def test_a_class_may_lose_its_margin():
    """A class that is worse by less than the margin does not stop a better candidate."""
    before = images(*[(0, i % 4 == 0) for i in range(60)], *[(1, True)] * 40)
    after = images(*[(0, True)] * 60, *[(1, i > 7) for i in range(40)])
    assert gate(before, after, class_margin=0.4).promoted
    assert failed(gate(before, after, class_margin=0.0)) == ["class nut"]


def test_the_first_model_has_to_reach_a_floor():
    """Without a champion nothing is compared: the lower bound of mAP50 must be above the floor, whatever the mode."""
    for mode in GateMode:
        decision = gate(None, GOOD, mode=mode)
        assert decision.first_model
        assert decision.promoted
        assert [clause.name for clause in decision.clauses] == ["evidence", "first model"]
    useless = images(*[(0, False)] * 60)
    assert failed(gate(None, useless)) == ["first model"]


@pytest.mark.parametrize("found", [True, False], ids=["good", "useless"])
@pytest.mark.parametrize("count", [60, 5], ids=["enough", "too few"])
def test_of_a_first_model_no_change_is_told(found: bool, count: int) -> None:
    """There was no champion: its figures and the change from it are none, not 0; the candidate's are its own."""
    candidate = images(*[(0, found)] * count)
    decision = gate(None, candidate)
    expected = {"champion": None, "delta": None, "interval": None, "lower_bound": None}
    body = decision.to_json()
    assert body["map50_95"] == expected | {"candidate": candidate.map50_95}
    assert body["map50"] == expected | {"candidate": candidate.map50}
    assert (decision.delta, decision.interval, decision.lower_bound) == (None, None, None)
    assert f"mAP50 {candidate.map50:.3f}" in decision.explain()


def test_the_floor_of_a_first_model_is_met_by_its_lower_bound():
    """Half of the objects are found: that is above a floor of 0.4 only where enough images show it."""
    few, many = (images(*[(0, i % 2 == 0) for i in range(n)]) for n in (12, 400))
    assert failed(gate(None, few, first_floor=0.4)) == ["first model"]
    decision = gate(None, many, first_floor=0.4)
    assert decision.promoted
    (told,) = [clause for clause in decision.clauses if clause.name == "first model"]
    assert 0.4 < told.numbers["lower_bound"] < told.numbers["map50"] < 0.6
    assert "no champion to compare with" in told.detail
    assert "by a floor" in decision.explain()[0]


def test_a_floor_takes_fewer_images_than_a_comparison():
    """Ten images judge a first model, nine do not; a successor takes twenty."""
    ten, nine = (images(*[(0, True)] * n) for n in (10, 9))
    assert gate(None, ten).promoted
    assert failed(gate(None, nine)) == ["evidence"]
    assert failed(gate(images(*[(0, False)] * 10), ten)) == ["evidence"]


TOO_LITTLE: dict[str, Evaluation] = {
    "no images": images(),
    "one image": images((0, True)),
    "19 images": images(*[(0, True)] * 19),
    "no boxes": evaluate(
        [Found(BOX, np.ones(1), np.zeros(1, int))] * 40, [Truth(np.zeros((0, 4)), np.zeros(0, int))] * 40, n_classes=3
    ),
}


@pytest.mark.parametrize("mode", GateMode)
@pytest.mark.parametrize("candidate", TOO_LITTLE.values(), ids=TOO_LITTLE.keys())
def test_too_little_evidence_refuses(candidate, mode):
    """Too few images, or no boxes: refused by the evidence clause, with nothing claimed and nothing raised."""
    for champion in (None, candidate):
        decision = gate(champion, candidate, mode=mode, first_units=20)
        assert not decision.promoted
        assert failed(decision) == ["evidence"]
        assert decision.interval is decision.lower_bound is None
        assert json.loads(json.dumps(decision.to_json(), allow_nan=False))["promoted"] is False
        assert any("evidence" in line for line in decision.explain())


def test_images_of_a_group_are_one_piece_of_evidence():
    """Frames of a clip count once: 60 images from 4 clips are too few, and copies do not narrow an interval."""
    assert failed(gate(BAD, GOOD, groups=np.array([f"clip {i % 4}" for i in range(60)]))) == ["evidence"]
    chosen = np.arange(60)
    copies = np.repeat(chosen, 9)
    single = gate(BAD, GOOD, resamples=2000).interval
    naive = gate(BAD.take(copies), GOOD.take(copies)).interval
    grouped = gate(BAD.take(copies), GOOD.take(copies), groups=copies.astype(str), resamples=2000)
    assert np.ptp(naive) < 0.5 * np.ptp(single)
    assert np.ptp(grouped.interval) == pytest.approx(np.ptp(single), rel=0.1)
    assert (grouped.images, grouped.units) == (540, 60)


def test_images_without_a_group_stand_alone():
    """The empty group is no group: such images are drawn one by one."""
    assert gate(BAD, GOOD, groups=np.array([""] * 60)).units == 60
    assert gate(BAD, GOOD, groups=np.array(["clip"] * 30 + [""] * 30)).units == 31


def test_same_seed_same_decision():
    """A decision depends on evaluations, settings and seed only."""
    assert gate(BAD, GOOD, seed=3) == gate(BAD, GOOD, seed=3)


def test_a_decision_tells_its_figures():
    """JSON and lines for people name the verdict, both changes with intervals, and every clause with numbers."""
    decision = gate(BAD, GOOD)
    body = json.loads(json.dumps(decision.to_json(), allow_nan=False))
    assert body["settings"]["mode"] == "superior"
    assert body["map50"]["interval"] == list(decision.map50.interval)
    assert [set(clause) for clause in body["clauses"]] == [{"name", "passed", "detail", "numbers"}] * 4
    lines = decision.explain()
    assert lines[0].startswith("Promoted (superior, against the champion, 60 images)")
    assert "95% interval" in lines[1]
    assert len(lines) == 3 + len(decision.clauses)


def test_other_images_cannot_be_compared():
    """Two evaluations of different images are refused with what to do."""
    with pytest.raises(BadDataset, match="same images") as caught:
        gate(BAD, images(*[(1, True)] * 60))
    assert "snapshot" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "value"),
    [("margin", -0.01), ("class_margin", 1.0), ("confidence", 1.0), ("resamples", 10), ("min_units", 1)],
)
def test_settings_that_cannot_work_are_named(name, value):
    """A setting outside its range is refused, by name."""
    with pytest.raises(SettingsError, match=name):
        GateSettings(**{name: value})


def test_holm():
    """Holm's step-down: the published worked example, order kept, ties allowed."""
    p = np.array([0.01, 0.04, 0.03, 0.005])
    assert holm(p, 0.05).tolist() == [True, False, False, True]
    assert holm(np.array([0.04, 0.04]), 0.05).tolist() == [False, False]
    assert holm(np.array([]), 0.05).tolist() == []


# --- how often it is wrong -------------------------------------------------------------------------

RUNS = 200
SIZE = 60


def promoted_share(models: Pool, choose: Callable[[np.random.Generator], np.ndarray], **settings: object) -> int:
    """In how many of RUNS draws of SIZE images the second model passes the gate's overall clause."""
    rng = np.random.default_rng(11)
    passed = 0
    for _ in range(RUNS):
        champion, candidate = models.pair(rng.integers(0, models.images, SIZE), choose(rng))
        decision = gate(champion, candidate, seed=int(rng.integers(2**31)), resamples=150, **settings)
        passed += decision.clauses[1].passed
    return passed


@pytest.fixture(scope="module")
def worse() -> Pool:
    """Two models of which the second is worse by about three points of mAP."""
    rng = np.random.default_rng(0)
    return pool(rng, Skill(junk=1.5), Skill(recall=0.79, junk=1.5), images=500, n_classes=2, objects=2)


AT_MOST_5_PERCENT = stats.binom.ppf(0.999, RUNS, 0.05)


def test_equal_models_are_rarely_promoted(worse):
    """Of two models that are equally good, the gate calls one superior in at most 5 % of draws."""
    coins = promoted_share(worse, lambda rng: rng.integers(0, 2, SIZE))
    assert 0 < coins <= AT_MOST_5_PERCENT


def test_worse_by_the_margin_is_rarely_promoted(worse):
    """A model worse by exactly the margin passes `non_inferior` in at most 5 % of draws."""
    margin = -worse.difference
    assert 0.015 < margin < 0.05
    passed = promoted_share(worse, lambda rng: np.zeros(SIZE, int), mode=GateMode.NON_INFERIOR, margin=margin)
    assert 0 < passed <= AT_MOST_5_PERCENT


def test_three_points_worse_is_hardly_ever_promoted(worse):
    """A model that is three points worse is called superior in less than 2 % of draws."""
    assert promoted_share(worse, lambda rng: np.zeros(SIZE, int)) <= 0.02 * RUNS


# --- what is known beside the evaluations ------------------------------------------------------------


def test_a_slice_that_suffers_stops_the_promotion():
    """Better overall, but the images of one camera are clearly worse: it is named, with its images."""
    before = images(*[(0, i % 4 == 0) for i in range(90)], *[(0, True)] * 30)
    after = images(*[(0, True)] * 90, *[(0, i % 3 > 0) for i in range(30)])
    night = np.arange(120) >= 90
    decision = gate(before, after, known=Circumstances(slices={"night": night, "day": ~night}))
    assert failed(decision) == ["slice night"]
    (clause,) = [c for c in decision.clauses if c.name == "slice night"]
    assert clause.numbers["images"] == 30 and clause.numbers["delta"] < -0.2


def test_a_slice_of_few_images_does_not_decide():
    """Fewer independent images than the gate asks for say too little, however many frames they have."""
    before = images(*[(0, i % 4 == 0) for i in range(90)], *[(0, True)] * 30)
    after = images(*[(0, True)] * 90, *[(0, i % 3 > 0) for i in range(30)])
    clips = np.array([str(i) for i in range(90)] + ["clip"] * 30)
    night = np.arange(120) >= 90
    names = [c.name for c in gate(before, after, groups=clips, known=Circumstances(slices={"night": night})).clauses]
    assert "slice night" not in names


def test_a_slice_that_is_waited_for_is_spoken_of_whatever_there_is_of_it():
    """Too small, without a box, or gone: a clear line that stops nothing."""
    night, empty = np.arange(60) >= 45, np.zeros(60, dtype=bool)
    known = Circumstances(
        slices={"view night": night, "view none": empty, "source a": night},
        said={"view night": "", "view none": "", "view gone": "the view 'gone' was removed."},
    )
    decision = gate(BAD, GOOD, known=known)
    told = {clause.name: clause.detail for clause in decision.clauses if clause.name.startswith("slice")}
    assert decision.promoted and set(told) == {"slice view night", "slice view none", "slice view gone"}
    assert "15 images in 15 independent groups are too few: 20" in told["slice view night"]
    assert "removed" in told["slice view gone"] and "0 images" in told["slice view none"]


def test_a_slice_may_have_a_margin_of_its_own():
    """Where a slice may get worse by more than others, it does not stop what would stop them."""
    before = images(*[(0, i % 4 == 0) for i in range(90)], *[(0, True)] * 30)
    after = images(*[(0, True)] * 90, *[(0, i % 3 > 0) for i in range(30)])
    night = np.arange(120) >= 90
    strict = gate(before, after, known=Circumstances(slices={"view night": night}))
    loose = gate(before, after, known=Circumstances(slices={"view night": night}, margins={"view night": 0.9}))
    assert failed(strict) == ["slice view night"] and loose.promoted
    (clause,) = [c for c in loose.clauses if c.name == "slice view night"]
    assert clause.numbers["margin"] == 0.9


def test_slices_and_mended_failures_look_at_more_images_than_those_that_decide():
    """What only the images beside the golden set show stops a candidate; bound and evidence are as without them."""
    before, after = images(*[(0, True)] * 30), images(*[(0, i >= 12) for i in range(30)])
    beside = Beside(before, after, np.array([str(i) for i in range(30)]))
    late = np.arange(90) >= 60
    plain = gate(BAD, GOOD)
    dark = gate(BAD, GOOD, known=Circumstances(beside=beside, slices={"view dark": late}))
    again = gate(BAD, GOOD, known=Circumstances(beside=beside, mended=late))
    assert (failed(plain), failed(dark), failed(again)) == ([], ["slice view dark"], ["mended failures"])
    assert dark.lower_bound == plain.lower_bound and dark.images == plain.images == 60


def test_mended_failures_stay_mended():
    """Of images that failed in production and that the champion gets right now, more than a tenth fail again."""
    before = images(*[(0, i % 4 == 0) for i in range(60)], *[(0, True)] * 20)
    after = images(*[(0, True)] * 60, *[(0, i >= 8) for i in range(20)])
    failed_once = np.arange(80) >= 50
    decision = gate(before, after, known=Circumstances(mended=failed_once))
    assert failed(decision) == ["mended failures"]
    (clause,) = [c for c in decision.clauses if c.name == "mended failures"]
    assert (clause.numbers["again"], clause.numbers["images"]) == (8, 22)  # two of the first sixty were mended, too
    one_again = images(*[(0, True)] * 60, *[(0, i >= 1) for i in range(20)])
    assert gate(before, one_again, known=Circumstances(mended=failed_once)).promoted


def test_scores_that_mean_less_stop_the_promotion():
    """As good at finding, but sure of everything, also of what is wrong."""

    def shown(right: int, wrong: int, sure: float) -> Evaluation:
        truths = [Truth(BOX, np.array([0]))] * 60
        far = np.array([[200.0, 200, 240, 240]])
        found = []
        for i in range(60):
            hit, alarm = int(i < right), int(i < wrong)
            scores = np.array([0.99] * hit + [sure] * alarm)
            found.append(Found(np.concatenate([BOX[:hit], far[:alarm]]), scores, np.zeros(hit + alarm, int)))
        return evaluate(found, truths, n_classes=1)

    decision = gate(shown(40, 50, 0.1), shown(58, 50, 0.9))
    assert failed(decision) == ["calibration"]
    assert gate(shown(40, 50, 0.1), shown(58, 50, 0.1)).promoted


def test_a_model_that_takes_too_long_is_refused():
    assert gate(BAD, GOOD, known=Circumstances(seconds=(0.010, 0.0149))).promoted
    slow = gate(BAD, GOOD, known=Circumstances(seconds=(0.010, 0.016)))
    assert failed(slow) == ["latency"]
    assert gate(BAD, GOOD, known=Circumstances(seconds=(0.010, 0.016)), latency_ratio=2.0).promoted


def test_a_latency_that_could_not_be_measured_is_said_to_be_so():
    """It stops nothing; where nobody wanted it measured there is no clause."""
    (clause,) = [c for c in gate(BAD, GOOD, known=Circumstances(unmeasured="no GPU")).clauses if c.name == "latency"]
    assert clause.passed and "no GPU" in clause.detail
    assert all(c.name != "latency" for c in gate(BAD, GOOD).clauses)


def test_images_that_are_asked_again_prove_less():
    """The bound falls with each use, by chance alone somebody passes in the end; worn images are said to be so."""
    bounds = [gate(BAD, GOOD, known=Circumstances(uses=uses)).lower_bound for uses in (1, 2, 5, WORN)]
    assert bounds == sorted(bounds, reverse=True) and bounds[0] > bounds[-1]
    told = gate(BAD, GOOD, known=Circumstances(uses=WORN)).clauses[0]
    assert told.passed and "fresh" in told.detail and told.numbers["uses"] == WORN
