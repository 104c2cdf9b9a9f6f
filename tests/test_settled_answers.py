"""What becomes of several people's answers to one item: pure decisions."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.policy.quality_rules import ConsensusRules
from loop.domain.quality.consensus import Reliability
from loop.domain.quality.settling import Settlement, settled
from loop.domain.review.tasks import Outcome, Submission
from loop.domain.truth import Geometry, Shape, drawn

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LABELS = ("car", "bus", "kerb")
HERE = Shape("car", (0.0, 0.0, 10.0, 10.0))
NEARLY = Shape("car", (0.0, 0.0, 10.0, 9.0))
THERE = Shape("car", (20.0, 0.0, 30.0, 10.0))
BUS = replace(HERE, label="bus")
POINT = drawn(Geometry.POINT, "kerb", [(3.0, 3.0)])


def an_answer(number: int, *shapes: Shape) -> Submission:
    return Submission(
        id=f"sub_{number}", task_id=f"task_0-{number}", project_id="p", item_digest="d", reviewer=f"tok_{number}",
        epoch=1, outcome=Outcome.SUBMITTED, shapes=shapes, note="", content_digest="", corrections={}, seconds=1.0,
        created_at=NOW,
    )  # fmt: skip


def of(*answers: tuple[Shape, ...], known: dict[str, Reliability] | None = None, **rules: float) -> Settlement:
    return settled(
        [an_answer(number, *shapes) for number, shapes in enumerate(answers)],
        labels=LABELS,
        reliabilities=known or {},
        rules=ConsensusRules(**rules),
    )


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([(HERE,), (NEARLY,)], [("car", (0.0, 0.0, 10.0, 9.5))]),
        ([(HERE,), (HERE,), (HERE,)], [("car", HERE.box)]),
        ([(HERE,), (NEARLY,), ()], [("car", (0.0, 0.0, 10.0, 9.5))]),
        ([(HERE, THERE), (HERE,), (HERE,)], [("car", HERE.box)]),
        ([(HERE,), (HERE,), (BUS,)], [("car", HERE.box)]),
        ([(), ()], []),
        ([(HERE,), (THERE,)], None),
        ([(HERE,), ()], None),
        ([(HERE,), (BUS,)], None),
        ([(POINT,), (POINT,)], [("kerb", POINT.box)]),
        ([(POINT,), ()], None),
    ],
    ids=[
        "a mean", "the same", "one overlooked it", "one invented it", "one misnamed it", "nothing there", "elsewhere",
        "one of two", "two labels", "a point", "a point missed",
    ],
)  # fmt: skip
def test_answers_become_one_where_it_is_sure_enough(answers, expected):
    """Of people who are worth the same; of three the two win, of two nobody."""
    found = of(*answers)
    plain = None if found.shapes is None else [(shape.label, shape.box) for shape in found.shapes]
    assert plain == expected


def test_whoever_is_more_reliable_counts_more():
    """A box of the exact weighs more than one of the hasty, and the careful alone outweigh who misses a third."""
    exact = Reliability(recall={"car": 0.99}, precision={"car": 0.99}, spread=0.01)
    hasty = Reliability(recall={"car": 0.6}, precision={"car": 0.7}, spread=0.2)
    known = {"tok_0": exact, "tok_1": hasty}
    (merged,) = of((HERE,), (NEARLY,), known=known).shapes
    assert merged.box[3] == pytest.approx(10.0, abs=0.01)
    assert of((HERE,), (), known=known).shapes is not None
    assert of((), (HERE,), known=known).shapes == ()


def test_who_decides_sees_the_merged_answer_with_what_is_disputed():
    """Every shape has an id, and those of the disputed are named, also of what is perhaps not there. The agreed ones
    are not asked about."""
    found = of((HERE, THERE), (NEARLY,))
    assert found.shapes is None
    by_id = {shape.id: shape for shape in found.merged.shapes}
    assert len(by_id) == 2
    assert [by_id[name].box for name in found.merged.disputed] == [THERE.box]
    assert of((HERE,), (HERE,)).merged is None
    assert of((replace(HERE, track="t"),), ()).merged is None


def test_of_polygons_that_of_the_most_exact_stands():
    """Corners have no mean."""
    corners = [(0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (0.0, 10.0)]
    one, other = (drawn(Geometry.POLYGON, "car", [*corners[:3], (by, 10.0)]) for by in (0.0, 1.0))
    known = {"tok_1": Reliability(spread=0.01)}
    assert of((one,), (other,), known=known).shapes == (other,)
    assert of((one,), (other,), known={"tok_0": Reliability(spread=0.01)}).shapes == (one,)


def test_shapes_that_a_rule_forbids_are_not_merged():
    """A mean that breaks a rule which each answer kept is shown to a person."""
    answers = [an_answer(0, HERE), an_answer(1, NEARLY)]
    found = settled(
        answers, labels=LABELS, reliabilities={}, rules=ConsensusRules(), refuses=lambda shapes: "they overlap"
    )
    assert found.shapes is None
    assert found.reasons[0].code == "rules-broken"
    assert len(found.merged.shapes) == 1


def test_agreement_is_told_with_the_settlement():
    """F1 and IoU, over all pairs and by pair; 0 where nothing that is compared is the same."""
    found = of((HERE,), (NEARLY,), ())
    assert {pair.reviewers: (pair.f1, pair.iou) for pair in found.pairs} == {
        ("tok_0", "tok_1"): (1.0, pytest.approx(0.9)),
        ("tok_0", "tok_2"): (0.0, None),
        ("tok_1", "tok_2"): (0.0, None),
    }
    assert found.f1 == pytest.approx(1 / 3)
    assert found.iou == pytest.approx(0.9)
    assert (of((POINT,), ()).f1, of((POINT,), (POINT,)).f1, of((), ()).f1) == (0.0, 1.0, 1.0)


def test_what_was_said_before_tells_who_confuses_labels():
    """One who calls cars buses all the time is not believed against another, though neither has golden items."""
    earlier = [{"tok_0": "car", "tok_1": "bus", "tok_2": "car"}] * 40
    answers = [an_answer(0, HERE), an_answer(1, BUS)]
    rules = ConsensusRules()
    alone = settled(answers, labels=LABELS, reliabilities={}, rules=rules)
    with_earlier = settled(answers, labels=LABELS, reliabilities={}, rules=rules, earlier=earlier)
    assert alone.shapes is None
    assert [shape.label for shape in with_earlier.shapes] == ["car"]
    gone = [{"tok_0": "tram", "tok_9": "tram"}]
    assert settled(answers, labels=LABELS, reliabilities={}, rules=rules, earlier=gone).shapes is None


boxes = st.tuples(st.sampled_from(LABELS[:2]), st.integers(0, 3), st.integers(0, 3)).map(
    lambda drawn_: Shape(drawn_[0], (20.0 * drawn_[1], 0.0, 20.0 * drawn_[1] + 10.0, 10.0 + drawn_[2]))
)


@given(st.lists(st.lists(boxes, max_size=4).map(tuple), min_size=2, max_size=4), st.randoms())
def test_the_order_of_people_and_shapes_does_not_matter(answers, random):
    """The same people say the same, whoever came last; a truth never has more shapes than all answers together."""
    submissions = [an_answer(number, *shapes) for number, shapes in enumerate(answers)]
    mixed = [replace(one, shapes=tuple(random.sample(one.shapes, len(one.shapes)))) for one in submissions]
    random.shuffle(mixed)
    one, other = (
        settled(given_, labels=LABELS, reliabilities={}, rules=ConsensusRules()) for given_ in (submissions, mixed)
    )
    key = lambda shape: (shape.label, shape.box)  # noqa: E731
    assert (one.shapes is None) == (other.shapes is None)
    if one.shapes is not None:
        left, right = sorted(one.shapes, key=key), sorted(other.shapes, key=key)
        assert [shape.label for shape in left] == [shape.label for shape in right]
        assert np.allclose([shape.box for shape in left], [shape.box for shape in right])
        assert len(one.shapes) <= sum(map(len, answers))
    else:
        assert set(one.merged.disputed) <= {shape.id for shape in one.merged.shapes}
        assert one.merged.disputed
