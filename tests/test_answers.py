"""Which boxes of several people mean the same object."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.errors import BadShape, Invalid
from loop.domain.geometry import iou_matrix
from loop.domain.quality.answers import Answer, Cluster, clusters_of, matched, votes_of
from tests.people import LABELS, SQUARE, answer, answers, moved, tied_answers


def members(clusters: Sequence[Cluster]) -> set[frozenset[tuple[str, str, tuple[float, ...]]]]:
    """What the clusters are, without any order."""
    return {
        frozenset(zip(one.reviewers, one.labels, (tuple(box) for box in one.boxes.tolist()), strict=True))
        for one in clusters
    }


# --- two people ------------------------------------------------------------------------------------


def test_a_box_that_overlaps_enough_is_the_same_object() -> None:
    """10 x 10 boxes a third of a side apart have an IoU of exactly one half."""
    third = 10.0 / 3.0
    assert len(matched(answer("a", ("cell", SQUARE)), answer("b", ("cell", moved(third - 1e-6))))) == 1
    assert matched(answer("a", ("cell", SQUARE)), answer("b", ("cell", moved(third + 1e-6)))) == ()


def test_what_overlaps_most_in_all_is_matched() -> None:
    """The closest pair is given up where it would leave two objects without a partner."""
    one = answer("a", ("cell", SQUARE), ("cell", moved(3.0)))
    other = answer("b", ("cell", moved(0.5)), ("cell", moved(-3.0)))
    assert [(m.row, m.other) for m in matched(one, other)] == [(0, 1), (1, 0)]


def test_objects_in_one_place_are_told_apart_by_their_labels() -> None:
    """Two boxes that overlap alike go to those of their label; the order in which they were drawn does not matter."""
    one = answer("a", ("cell", SQUARE), ("platelet", SQUARE))
    other = answer("b", ("platelet", moved(1.0)), ("cell", moved(1.0)))
    assert [(m.row, m.other) for m in matched(one, other)] == [(0, 1), (1, 0)]


@given(answers(most=2))
def test_matches_are_one_to_one_and_close_enough(given_answers: list[Answer]) -> None:
    one, other = given_answers[0], given_answers[-1]
    found = matched(one, other)
    overlap = iou_matrix(one.boxes, other.boxes)
    assert len({m.row for m in found}) == len({m.other for m in found}) == len(found)
    assert all(m.iou == overlap[m.row, m.other] >= 0.5 for m in found)


@given(answers(most=2))
def test_which_answer_is_first_does_not_matter(given_answers: list[Answer]) -> None:
    """There is as much overlap, whoever is compared with whom."""
    one, other = given_answers[0], given_answers[-1]
    forth, back = matched(one, other), matched(other, one)

    def worth(pairs: Sequence[tuple[int, int, float]]) -> float:
        return sum(iou + 0.1 * (one.labels[a] == other.labels[b]) for a, b, iou in pairs)

    ahead, behind = [(m.row, m.other, m.iou) for m in forth], [(m.other, m.row, m.iou) for m in back]
    assert worth(ahead) == pytest.approx(worth(behind))


# --- several people --------------------------------------------------------------------------------


@given(answers())
def test_each_box_is_in_one_cluster_and_each_person_at_most_once_in_each(given_answers: list[Answer]) -> None:
    clusters = clusters_of(given_answers)
    looked = {one.reviewer for one in given_answers}
    assert sum(len(one.reviewers) for one in clusters) == sum(len(one) for one in given_answers)
    for one in clusters:
        assert len(set(one.reviewers)) == len(one.reviewers) >= 1
        assert {*one.reviewers, *one.missing} == looked
        assert not {*one.reviewers} & {*one.missing}


@given(answers() | tied_answers(), st.randoms(use_true_random=False))
def test_neither_the_order_of_people_nor_of_shapes_matters(given_answers: list[Answer], random: object) -> None:
    shuffled = []
    for one in given_answers:
        order = list(range(len(one)))
        random.shuffle(order)  # type: ignore[attr-defined]
        shuffled.append(Answer(one.reviewer, tuple(one.labels[row] for row in order), one.boxes[order]))
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert members(clusters_of(given_answers)) == members(clusters_of(shuffled))


@given(answers(most=2))
def test_with_two_people_clusters_are_their_matches(given_answers: list[Answer]) -> None:
    pairs = [one for one in clusters_of(given_answers) if len(one.reviewers) == 2]
    expected = matched(*given_answers) if len(given_answers) == 2 else ()
    assert len(pairs) == len(expected)


def test_a_chain_of_people_is_one_object() -> None:
    """The first and the third do not overlap enough, but both mean what the second drew."""
    people = [answer(name, ("cell", moved(by))) for name, by in (("a", 0.0), ("b", 2.5), ("c", 5.0))]
    (found,) = clusters_of(people)
    assert found.reviewers == ("a", "b", "c")


def test_two_boxes_of_one_person_stay_two_objects() -> None:
    """The closer of them joins the others' object."""
    people = [
        answer("a", ("cell", SQUARE)),
        answer("b", ("cell", moved(0.5)), ("cell", moved(2.0))),
        answer("c", ("cell", moved(1.0))),
    ]
    found = members(clusters_of(people))
    assert sorted(len(one) for one in found) == [1, 3]
    assert frozenset({("b", "cell", moved(2.0))}) in found


def test_the_closest_are_joined_first() -> None:
    """a is closest to the first of b, but c stands between a and the second of b, and closer to both."""
    a, c = answer("a", ("cell", moved(0.0))), answer("c", ("cell", moved(1.0)))
    b = answer("b", ("cell", moved(-1.5)), ("cell", moved(2.0)))
    found = members(clusters_of([a, b, c]))
    assert frozenset({("b", "cell", moved(-1.5))}) in found and len(found) == 2


def test_a_cluster_says_who_differs() -> None:
    people = [
        answer("a", ("cell", SQUARE), ("cell", (50.0, 50.0, 60.0, 60.0))),
        answer("b", ("platelet", moved(1.0)), ("cell", (50.0, 50.0, 60.0, 61.0))),
        answer("c", ("cell", (50.0, 50.0, 60.0, 60.0))),
    ]
    disputed, agreed = clusters_of(people)
    assert disputed.disputed and disputed.missing == ("c",) and not disputed.agreed
    assert agreed.agreed and agreed.missing == () and not agreed.disputed


def test_nobody_is_counted_twice() -> None:
    with pytest.raises(Invalid, match="two answers"):
        clusters_of([answer("a", ("cell", SQUARE)), answer("a")])


# --- what can be answered ----------------------------------------------------------------------------


def test_an_empty_answer_is_one() -> None:
    """Somebody looked and found nothing."""
    (found,) = clusters_of([answer("a"), answer("b", ("cell", SQUARE))])
    assert found.missing == ("a",)
    assert clusters_of([answer("a"), answer("b")]) == ()


@pytest.mark.parametrize(
    ("labels", "boxes"),
    [
        pytest.param(("cell",), np.zeros((2, 4)), id="fewer labels than boxes"),
        pytest.param(("cell",), np.zeros((1, 3)), id="no boxes"),
        pytest.param(("cell",), np.array([[5.0, 0.0, 5.0, 9.0]]), id="empty"),
        pytest.param(("cell",), np.array([[0.0, 0.0, np.nan, 9.0]]), id="not a number"),
    ],
)
def test_what_is_no_box_is_refused(labels: tuple[str, ...], boxes: np.ndarray) -> None:
    with pytest.raises(BadShape, match=r"Give"):
        Answer("a", labels, boxes)


def test_votes_are_numbers_of_labels() -> None:
    """-1 where somebody looked and marked nothing; a label that the project does not have is refused."""
    clusters = clusters_of([answer("a", ("platelet", SQUARE)), answer("b")])
    assert votes_of(clusters, ["a", "b"], LABELS).tolist() == [[1, -1]]
    with pytest.raises(Invalid, match="platelet"):
        votes_of(clusters, ["a", "b"], ["cell"])
