"""How far people agree, of one image and beyond chance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop.domain.quality.agreement import (
    agreement_of,
    batch_agreement,
    box_distance,
    krippendorff_alpha,
    nominal_distance,
)
from loop.domain.quality.answers import Answer, clusters_of
from loop.domain.quality.sameness import read_answer
from loop.domain.truth import Geometry, Shape, drawn
from tests.people import NOWHERE, SQUARE, answer, answers, moved, tied_answers


def test_f1_and_iou_of_a_small_case() -> None:
    """Two of three shapes are the same, one of them under another label; the IoUs are 9/11 and 1."""
    one = answer("a", ("cell", SQUARE), ("cell", moved(40.0)), ("cell", NOWHERE))
    other = answer("b", ("cell", moved(1.0)), ("platelet", moved(40.0)))
    found = agreement_of([one, other])
    assert found.f1 == pytest.approx(2 * 1 / 5)
    assert found.box_f1 == pytest.approx(2 * 2 / 5)
    assert found.iou == pytest.approx((9 / 11 + 1) / 2)
    assert found.pairs == 1


def test_the_mean_is_over_pairs_of_people() -> None:
    """Two agree and the third differs from both: (1 + 0 + 0) / 3."""
    people = [answer("a", ("cell", SQUARE)), answer("b", ("cell", SQUARE)), answer("c", ("cell", NOWHERE))]
    assert agreement_of(people).f1 == pytest.approx(1 / 3)


def test_people_who_all_see_nothing_agree() -> None:
    found = agreement_of([answer("a"), answer("b")])
    assert (found.f1, found.box_f1, found.iou) == (1.0, 1.0, None)


@given(answers() | tied_answers(), st.randoms(use_true_random=False))
def test_agreement_lies_between_0_and_1_whatever_the_order(given_answers: list[Answer], random: object) -> None:
    found = agreement_of(given_answers)
    assert 0.0 <= found.f1 <= found.box_f1 <= 1.0
    assert found.iou is None or 0.5 <= found.iou <= 1.0
    random.shuffle(given_answers)  # type: ignore[attr-defined]
    turned = [Answer(one.reviewer, one.labels[::-1], one.boxes[::-1]) for one in given_answers]
    assert agreement_of(turned) == found


@given(answers(most=1), st.integers(2, 4))
def test_identical_answers_agree_entirely(given_answers: list[Answer], people: int) -> None:
    copies = [Answer(f"r{who}", given_answers[0].labels, given_answers[0].boxes) for who in range(people)]
    found = agreement_of(copies)
    assert found.f1 == 1.0
    assert found.iou is None or found.iou == pytest.approx(1.0)


# --- Krippendorff's alpha ----------------------------------------------------------------------------

# "Computing Krippendorff's Alpha-Reliability" (2011), section C: four observers, twelve units, 0 for missing.
OBSERVED = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3],
    [0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0],
]


def published_units() -> list[np.ndarray]:
    return [np.array([[float(v)] for v in unit if v]) for unit in zip(*OBSERVED, strict=True)]


def test_alpha_is_that_of_the_published_example() -> None:
    """0.743 for names and 0.849 for distances squared, with missing data."""
    nominal = krippendorff_alpha(published_units(), nominal_distance)
    interval = krippendorff_alpha(published_units(), lambda a, b: np.square(a - b.T))
    assert nominal == pytest.approx(0.743, abs=5e-4)
    assert interval == pytest.approx(0.849, abs=5e-4)


def test_alpha_of_many_values_does_not_depend_on_how_the_table_is_cut() -> None:
    """More values than are compared at once: against the definition by coincidences."""
    rng = np.random.default_rng(3)
    units = [rng.integers(0, 3, size=(int(m), 1)).astype(float) for m in rng.integers(2, 5, size=400)]
    values = np.concatenate(units).ravel()
    observed = sum((u != u.T).sum() / (len(u) - 1) for u in units) / len(values)
    expected = (values[:, None] != values[None, :]).sum() / (len(values) * (len(values) - 1))
    assert krippendorff_alpha(units, nominal_distance) == pytest.approx(1 - observed / expected)


def test_random_labels_have_an_alpha_of_about_0() -> None:
    rng = np.random.default_rng(1)
    units = [rng.integers(0, 4, size=(3, 1)).astype(float) for _ in range(2000)]
    assert krippendorff_alpha(units, nominal_distance) == pytest.approx(0.0, abs=0.03)


def test_alpha_of_a_batch_of_boxes_by_hand() -> None:
    """Two images with one object each, far apart. Observed: (1 - 9/11 + 0) / 2; expected by chance: of the twelve
    ordered pairs the eight across images differ entirely, two by 1 - 9/11, and two not at all."""
    first = clusters_of([answer("a", ("cell", SQUARE)), answer("b", ("cell", moved(1.0)))])
    second = clusters_of([answer("a", ("cell", NOWHERE)), answer("b", ("cell", NOWHERE))])
    found = batch_agreement([first, second])
    apart = 1 - 9 / 11
    assert found.boxes == pytest.approx(1 - (2 * apart / 4) / ((8 + 2 * apart) / 12))
    assert found.labels is None  # all are equal: chance would give the same
    assert found.items == 2


def test_nothing_there_is_an_answer() -> None:
    """Who looked and marked nothing disagrees with who did, as far as can be."""
    alone = clusters_of([answer("a", ("cell", SQUARE)), answer("b")])
    both = clusters_of([answer("a", ("cell", NOWHERE)), answer("b", ("cell", NOWHERE))])
    found, without = batch_agreement([alone, both]), batch_agreement([both])
    assert found.labels is not None and found.labels < 0.2
    assert found.boxes is not None and without.boxes is None
    assert box_distance(np.zeros((1, 4)), np.array([[0, 0, 0, 0], SQUARE])).tolist() == [[0.0, 1.0]]


def test_whoever_did_not_look_is_missing() -> None:
    """An item of one person changes nothing, and alone gives no alpha."""
    pair = [answer("a", ("cell", SQUARE), ("platelet", NOWHERE)), answer("b", ("cell", SQUARE), ("platelet", NOWHERE))]
    single = clusters_of([answer("a", ("cell", SQUARE))])
    assert batch_agreement([clusters_of(pair), single]) == batch_agreement([clusters_of(pair)])
    assert batch_agreement([clusters_of(pair)]).labels == 1.0
    assert batch_agreement([single]).boxes is None and batch_agreement([]).items == 0


def drawn_by(who: str, *shapes: Shape, reach: float = 10.0) -> Answer:
    return read_answer(who, shapes, reach)


def point(x: float, y: float = 0.0) -> Shape:
    return drawn(Geometry.POINT, "hand", [(x, y)])


def outline(*corners: tuple[float, float]) -> Shape:
    return drawn(Geometry.POLYGON, "cell", corners)


CORNER, OPPOSITE = outline((0, 0), (10, 0), (0, 10)), outline((10, 10), (10, 0), (0, 10))


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        pytest.param(point(0.0), point(5.0), 1 - 25 / 35, id="half a reach: points"),
        pytest.param(point(0.0), point(0.0), 0.0, id="the same point"),
        pytest.param(
            drawn(Geometry.POLYLINE, "kerb", [(0, 0), (50, 0)]), drawn(Geometry.POLYLINE, "kerb", [(50, 5), (0, 5)]),
            1 - 25 / 35, id="half a reach: lines",
        ),
        pytest.param(
            outline((0, 0), (10, 0), (10, 10), (0, 10)), CORNER, 0.5, id="half the area, the same box around both",
        ),
        pytest.param(CORNER, Shape("cell", SQUARE), 0.0, id="an outline and a box: by boxes"),
    ],
)  # fmt: skip
def test_alpha_of_what_is_no_box_is_by_likeness(one: Shape, other: Shape, apart: float) -> None:
    """As that of boxes by hand: two images with one object each, far apart, of which the second is undisputed."""
    far = Shape("cell", (900.0, 900.0, 910.0, 910.0))
    first = clusters_of([drawn_by("a", one), drawn_by("b", other)])
    second = clusters_of([drawn_by("a", far), drawn_by("b", far)])
    assert len(first) == 1
    found = batch_agreement([first, second])
    assert found.boxes == pytest.approx(1 - (2 * apart / 4) / ((8 + 2 * apart) / 12))


def test_outlines_that_share_a_box_and_no_area_are_two_objects() -> None:
    """Each is missing for one of the two."""
    found = batch_agreement([clusters_of([drawn_by("a", CORNER), drawn_by("b", OPPOSITE)])])
    assert found.boxes is not None and found.boxes < 0.0


def test_alpha_of_points_in_an_image_of_any_size_is_the_same() -> None:
    def of(scale: float) -> float | None:
        said = [[0.0, 50.0], [4.0, 54.0], [9.0]]
        people = [drawn_by(str(n), *[point(x * scale) for x in own], reach=10.0 * scale) for n, own in enumerate(said)]
        return batch_agreement([clusters_of(people)]).boxes

    assert of(1.0) == pytest.approx(of(3.0))


def test_boxes_have_the_same_alpha_beside_other_shapes_or_not() -> None:
    """Whether they were read as plain boxes or with all that was drawn."""
    rows = [[(SQUARE), moved(40.0)], [moved(1.0), moved(44.0)], [moved(2.0)]]
    plain = [answer(str(n), *[("cell", box) for box in own]) for n, own in enumerate(rows)]
    read = [drawn_by(str(n), *[Shape("cell", box) for box in own]) for n, own in enumerate(rows)]
    assert batch_agreement([clusters_of(read)]) == batch_agreement([clusters_of(plain)])


@given(st.lists(answers(most=3), min_size=1, max_size=4))
def test_alpha_is_at_most_1(batch: list[list[Answer]]) -> None:
    found = batch_agreement([clusters_of(item) for item in batch])
    assert all(alpha is None or alpha <= 1.0 + 1e-12 for alpha in (found.boxes, found.labels))
