"""One answer from those of several people: what is merged, how sure it is, and when a person has to decide."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.consensus import PANELS, blood_cells, judged
from loop.domain.errors import Invalid
from loop.domain.policy.quality_rules import ConsensusRules
from loop.domain.quality.answers import Answer, Cluster, clusters_of
from loop.domain.quality.consensus import (
    Consensus,
    Reliability,
    Verdict,
    consensus_of,
    existence,
    merged_box,
)
from loop.domain.quality.dawid_skene import PRIOR_RIGHT, fitted_labels
from tests.people import LABELS, NOWHERE, SQUARE, answer, answers, moved, tied_answers
from tests.requirements import require_data

RULES = ConsensusRules()


def consensus(*people: Answer, **reliabilities: Reliability) -> Consensus:
    (found,) = consensus_of([people], labels=LABELS, reliabilities=reliabilities, rules=RULES)
    return found


def cluster(marked: str, missing: str = "") -> Cluster:
    """Of people with one-letter names, all of whom say that it is a cell."""
    boxes = np.array([SQUARE for _ in marked])
    return Cluster(tuple(marked), ("cell",) * len(marked), boxes, tuple(missing))


def rates(recall: float, precision: float) -> Reliability:
    return Reliability(recall={"cell": recall}, precision={"cell": precision})


# --- the verdict -------------------------------------------------------------------------------------


@given(answers(most=1), st.integers(1, 4))
def test_identical_answers_merge_to_themselves(given_answers: list[Answer], people: int) -> None:
    """And nobody else has to look. Boxes of one person never merge with each other."""
    one = given_answers[0]
    found = consensus(*[Answer(f"r{who}", one.labels, one.boxes) for who in range(people)])
    assert found.verdict is Verdict.MERGED and found.disputed == ()
    merged = sorted((c.label, *np.round(c.box, 9)) for c in found.merged)
    assert merged == sorted((label, *box) for label, box in zip(one.labels, one.boxes.tolist(), strict=True))


@given(answers() | tied_answers(), st.randoms(use_true_random=False))
def test_the_order_of_people_does_not_matter(given_answers: list[Answer], random: object) -> None:
    before = consensus(*given_answers)
    random.shuffle(given_answers)  # type: ignore[attr-defined]
    after = consensus(*given_answers)
    assert [(c.label, c.box, c.exists) for c in before.candidates] == [
        (c.label, c.box, c.exists) for c in after.candidates
    ]
    assert (before.verdict, before.disputed, before.reasons) == (after.verdict, after.disputed, after.reasons)


@given(answers())
def test_what_is_merged_lies_between_what_was_drawn(given_answers: list[Answer]) -> None:
    """Probabilities lie in [0, 1], boxes and labels between those that people gave."""
    for one in consensus(*given_answers).candidates:
        assert 0.0 <= one.exists <= 1.0 and 0.0 < one.sure_of_label <= 1.0
        assert one.label in one.cluster.labels and (one.cluster.disputed or one.sure_of_label == 1.0)
        assert (one.cluster.boxes.min(axis=0) <= np.array(one.box) + 1e-9).all()
        assert (np.array(one.box) - 1e-9 <= one.cluster.boxes.max(axis=0)).all()


def test_disagreement_goes_to_a_person_with_what_is_disputed() -> None:
    """Two people, one object that both have and one that each has alone."""
    found = consensus(
        answer("a", ("cell", SQUARE), ("cell", moved(40.0))), answer("b", ("cell", SQUARE), ("cell", NOWHERE))
    )
    assert found.verdict is Verdict.ADJUDICATE
    assert found.disputed == (1, 2)
    assert [reason.code for reason in found.reasons] == ["existence-unsure", "existence-unsure"]
    assert "marked by a, not by b" in found.reasons[0].detail


def test_agreement_below_what_is_asked_goes_to_a_person_however_sure_it_is() -> None:
    """Only where a project asks for it: F1 does not know who is right."""
    people = [[answer(f"r{who}", ("cell", SQUARE), *more) for who, more in enumerate(([], [], [("cell", NOWHERE)]))]]
    assert consensus(*people[0]).verdict is Verdict.MERGED
    rules = ConsensusRules(min_agreement=0.9)
    (found,) = consensus_of(people, labels=LABELS, reliabilities={}, rules=rules)
    assert (found.verdict, found.reasons[0].code) == (Verdict.ADJUDICATE, "agreement-below-threshold")


def test_a_disputed_label_goes_to_a_person_even_where_all_else_agrees() -> None:
    alike = [("cell", moved(30.0 * number)) for number in range(1, 9)]
    found = consensus(answer("a", *alike, ("cell", SQUARE)), answer("b", *alike, ("platelet", SQUARE)))
    assert found.agreement.f1 > 0.8
    assert found.verdict is Verdict.ADJUDICATE and [r.code for r in found.reasons] == ["label-disputed"]
    (number,) = found.disputed
    assert found.candidates[number].cluster.disputed
    assert "platelet (b)" in found.reasons[0].detail


@pytest.mark.parametrize(
    ("given_labels", "label", "verdict"),
    [
        pytest.param(("platelet", "platelet"), "platelet", Verdict.MERGED, id="nobody differs"),
        pytest.param(("platelet", "platelet", "cell"), "platelet", Verdict.MERGED, id="two to one"),
        pytest.param(("platelet", "cell"), None, Verdict.ADJUDICATE, id="one to one"),
    ],
)
def test_a_rare_label_is_not_outvoted_for_being_rare(
    given_labels: tuple[str, ...], label: str | None, verdict: Verdict
) -> None:
    """Where nearly everything is a cell, people who say otherwise still count."""
    many = [("cell", moved(30.0 * number)) for number in range(1, 100)]
    people = [answer(f"r{who}", *many, (said, SQUARE)) for who, said in enumerate(given_labels)]
    found = consensus(*people)
    assert found.verdict is verdict
    (rare,) = (one for one in found.candidates if "platelet" in one.cluster.labels)
    assert label is None or rare.label == label


def test_two_of_three_are_enough_for_a_label() -> None:
    alike = [("cell", moved(30.0 * number)) for number in range(1, 9)]
    people = [
        answer(name, *alike, (label, SQUARE)) for name, label in zip("abc", ("cell", "platelet", "cell"), strict=True)
    ]
    found = consensus(*people)
    assert found.verdict is Verdict.MERGED
    assert next(c for c in found.candidates if c.cluster.disputed).label == "cell"


def test_golden_items_tell_whose_label_is_believed() -> None:
    """Of two who differ, one took platelets for cells half of the time."""
    sure = Reliability(confusion={("cell", "cell"): 50, ("platelet", "platelet"): 50})
    unsure = Reliability(confusion={("cell", "cell"): 50, ("platelet", "platelet"): 25, ("platelet", "cell"): 25})
    people = answer("a", ("platelet", SQUARE)), answer("b", ("cell", SQUARE))
    (found,) = consensus(*people, a=sure, b=unsure).candidates
    assert found.label == "platelet" and found.sure_of_label > 0.9


def test_nothing_to_see_is_merged() -> None:
    assert consensus(answer("a"), answer("b")).verdict is Verdict.MERGED
    assert consensus_of([], labels=LABELS, reliabilities={}, rules=RULES) == ()


def test_a_label_that_the_project_does_not_have_is_refused() -> None:
    with pytest.raises(Invalid, match="leukocyte"):
        consensus(answer("a", ("leukocyte", SQUARE)))


def test_a_reliability_out_of_range_is_refused() -> None:
    with pytest.raises(Invalid):
        rates(1.1, 0.5)
    with pytest.raises(Invalid):
        Reliability(spread=0.0)
    with pytest.raises(Invalid, match="min_certainty"):
        ConsensusRules(min_certainty=0.4)


# --- whether there is anything -------------------------------------------------------------------------


@pytest.mark.parametrize("precision", [0.2, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("recall", [0.3, 0.9])
def test_the_word_of_a_single_person_counts_as_their_precision(recall: float, precision: float) -> None:
    if recall * (1 - precision) / precision < 0.999:
        assert existence(cluster("a"), "cell", {"a": rates(recall, precision)}) == pytest.approx(precision)


def test_existence_by_hand() -> None:
    """a (recall 0.9, precision 0.9: false 0.1) marked it, b (0.8, 0.5: 0.8) did not:
    odds 0.9 / 0.1 x (1 - 0.8) / (1 - 0.8) = 9."""
    people = {"a": rates(0.9, 0.9), "b": rates(0.8, 0.5)}
    assert existence(cluster("a", "b"), "cell", people) == pytest.approx(0.9)


rate = st.floats(0.05, 0.95)


def test_what_one_of_two_alike_marked_is_kept_for_a_person_to_decide() -> None:
    """Exactly one half, whoever of them it was; what is invented is sooner seen than what is left out."""
    for marker in "ab":
        people = [answer(name, *([("cell", SQUARE)] if name == marker else [])) for name in "ab"]
        found = consensus(*people)
        assert found.verdict is Verdict.ADJUDICATE and len(found.merged) == 1


@given(rate, rate, rate, rate, rate)
def test_a_more_precise_person_makes_their_mark_likelier(
    recall: float, low: float, high: float, other: float, precision: float
) -> None:
    low, high = sorted((low, high))
    before, after = (
        existence(cluster("a", "b"), "cell", {"a": rates(recall, one), "b": rates(other, precision)})
        for one in (low, high)
    )
    assert before <= after + 1e-12


@given(rate, rate, rate)
def test_who_misses_less_makes_what_they_did_not_mark_less_likely(low: float, high: float, precision: float) -> None:
    low, high = sorted((low, high))
    seldom, often = (
        existence(cluster("a", "b"), "cell", {"b": rates(recall, max(precision, 0.5))}) for recall in (low, high)
    )
    assert often <= seldom + 1e-12


def test_nobody_alone_is_infallible() -> None:
    """Five ordinary people outvote one of whom golden items have shown no error."""
    assert existence(cluster("a", "bcdef"), "cell", {"a": rates(1.0, 1.0)}) < 0.5
    assert existence(cluster("bcdef", "a"), "cell", {"a": rates(1.0, 1.0)}) > 0.5


# --- where it is ---------------------------------------------------------------------------------------


def test_coordinates_are_weighted_by_precision() -> None:
    """A spread of half as much counts four times."""
    people = [answer("a", ("cell", SQUARE)), answer("b", ("cell", moved(1.0)))]
    (both,) = clusters_of(people)
    found = merged_box(both, {"a": Reliability(spread=0.02), "b": Reliability(spread=0.04)})
    assert found == pytest.approx((0.2, 0.0, 10.2, 10.0))
    assert merged_box(both, {}) == pytest.approx((0.5, 0.0, 10.5, 10.0))


# --- which label it has ----------------------------------------------------------------------------------


def voted(rng: np.random.Generator, confusion: np.ndarray, shares: list[float], items: int) -> tuple[np.ndarray, ...]:
    """Truth and votes (items, R) of people with these (R, K, K) confusions."""
    truth = rng.choice(len(shares), size=items, p=shares)
    votes = np.array([[rng.choice(len(shares), p=person[true]) for person in confusion] for true in truth])
    return truth, votes


def test_dawid_skene_finds_who_confuses_what() -> None:
    """Without golden items: three people, one of whom takes one half of the second label for the first."""
    good = np.array([[0.95, 0.05], [0.05, 0.95]])
    partial = np.array([[0.95, 0.05], [0.5, 0.5]])
    confusion = np.stack([good, good, partial])
    _, votes = voted(np.random.default_rng(1), confusion, [0.6, 0.4], 2000)
    fit = fitted_labels(votes, labels=LABELS, reviewers=["a", "b", "c"])
    assert fit.confusion == pytest.approx(confusion, abs=0.05)
    assert fit.shares == pytest.approx([0.6, 0.4], abs=0.05)


def test_two_careless_people_do_not_outvote_a_careful_one() -> None:
    """Without golden items: labels are right more often than by a plain vote."""
    confusion = np.stack([np.full((2, 2), 1 - right) + np.eye(2) * (2 * right - 1) for right in (0.97, 0.65, 0.65)])
    truth, votes = voted(np.random.default_rng(5), confusion, [0.5, 0.5], 1000)
    fit = fitted_labels(votes, labels=LABELS, reviewers=["a", "b", "c"])
    plain = ((votes == 1).sum(axis=1) >= 2).astype(int)
    assert (fit.posterior(votes).argmax(axis=1) == truth).mean() > (plain == truth).mean() + 0.03


def test_posteriors_of_labels_are_as_often_right_as_they_say() -> None:
    """Among those of about 0.8 to 0.99 the share that is right is what they say, within its binomial error."""
    rng = np.random.default_rng(2)
    people = np.stack([np.full((3, 3), wrong / 2) + np.eye(3) * (1 - 1.5 * wrong) for wrong in (0.1, 0.2, 0.3, 0.3)])
    truth, votes = voted(rng, people, [0.5, 0.3, 0.2], 3000)
    votes[rng.random(votes.shape) < 0.3] = -1  # not everybody looked at everything
    posterior = fitted_labels(votes, labels=["x", "y", "z"], reviewers=list("abcd")).posterior(votes)
    said, right = posterior.max(axis=1), posterior.argmax(axis=1) == truth
    middle = (said > 0.8) & (said < 0.99)
    assert right[middle].mean() == pytest.approx(said[middle].mean(), abs=3 * np.sqrt(0.1 * 0.9 / middle.sum()) + 0.01)


def test_golden_items_count_as_labels_whose_truth_is_known() -> None:
    """Of two who differ, the one is believed who was right on golden items."""
    known = {"a": np.array([[50.0, 0.0], [0.0, 50.0]]), "b": np.array([[25.0, 25.0], [25.0, 25.0]])}
    votes = np.array([[1, 0]])
    fit = fitted_labels(votes, labels=LABELS, reviewers=["a", "b"], known=known)
    assert fit.posterior(votes)[0, 1] > 0.9


def test_few_answers_make_nobody_infallible() -> None:
    """One vote is worth what the prior says; no probability is 0 or 1."""
    votes = np.array([[0]])
    fit = fitted_labels(votes, labels=LABELS, reviewers=["a"])
    assert fit.posterior(votes)[0, 0] == pytest.approx(PRIOR_RIGHT, abs=0.08)
    assert (fit.confusion > 0).all() and (fit.shares > 0).all()


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 12), st.integers(0, 2**31))
def test_posteriors_and_confusions_are_distributions(people: int, size: int, items: int, seed: int) -> None:
    votes = np.random.default_rng(seed).integers(-1, size, size=(items, people))
    fit = fitted_labels(votes, labels=[str(n) for n in range(size)], reviewers=[str(n) for n in range(people)])
    assert fit.posterior(votes).sum(axis=1) == pytest.approx(np.ones(items))
    assert fit.confusion.sum(axis=2) == pytest.approx(np.ones((people, size)))
    assert (fit.confusion > 0).all()


@given(st.integers(0, 2**31), st.permutations(range(3)))
def test_whoever_is_named_first_does_not_matter(seed: int, order: list[int]) -> None:
    votes = np.random.default_rng(seed).integers(-1, 3, size=(10, 3))
    names = ["a", "b", "c"]
    fit = fitted_labels(votes, labels=["x", "y", "z"], reviewers=names)
    turned = fitted_labels(votes[:, order], labels=["x", "y", "z"], reviewers=[names[at] for at in order])
    assert turned.posterior(votes[:, order]) == pytest.approx(fit.posterior(votes), abs=1e-4)


def test_votes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(Invalid):
        fitted_labels(np.array([[2]]), labels=LABELS, reviewers=["a"])
    with pytest.raises(Invalid):
        fitted_labels(np.array([[0, 0]]), labels=LABELS, reviewers=["a"])


# --- on real annotations ---------------------------------------------------------------------------------


@pytest.mark.parametrize("panel", PANELS)
def test_merged_answers_are_better_than_the_best_single_person_and_a_plain_vote(panel: str) -> None:
    """Blood cells with people who miss, invent, misplace and misname: in F1 at IoU 0.5 and at 0.75, and in IoU. What
    it is unsure of is wrong several times as often as the rest."""
    require_data("bccd")
    labels, truths = blood_cells(70)
    run = judged(PANELS[panel], labels, truths, seed=7)
    others = [*run.single.values(), run.plain]
    for iou in (0.5, 0.75):
        assert run.merged.f1[iou] > max(other.f1[iou] for other in others)
    assert run.merged.iou > max(other.iou for other in others)
    assert run.caught > 3.0 * run.unsure
