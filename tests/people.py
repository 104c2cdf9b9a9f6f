"""Made answers of several people, by hand and by Hypothesis."""

import numpy as np
from hypothesis import strategies as st

from loop.domain.geometry import Box
from loop.domain.quality.answers import Answer
from loop.domain.quality.reviewer_quality import GoldenScore

LABELS = ("cell", "platelet")
SQUARE: Box = (0.0, 0.0, 10.0, 10.0)
NOWHERE: Box = (80.0, 80.0, 90.0, 90.0)  # far from it


def answer(reviewer: str, *shapes: tuple[str, Box]) -> Answer:
    return Answer(reviewer, tuple(label for label, _ in shapes), np.array([box for _, box in shapes]))


def moved(by: float, box: Box = SQUARE) -> Box:
    """To the right, in pixels."""
    return (box[0] + by, box[1], box[2] + by, box[3])


@st.composite
def answers(draw: st.DrawFn, most: int = 4) -> list[Answer]:
    """A few people around the same few objects: copies of them, moved a little, some missing, some invented."""
    corner = st.tuples(st.integers(0, 40), st.integers(0, 40))
    shape = st.tuples(st.sampled_from(LABELS), corner, st.integers(4, 14), st.integers(4, 14))
    people = draw(st.integers(1, most))
    rows = draw(st.lists(st.lists(shape, max_size=6), min_size=people, max_size=people))
    return [
        answer(f"r{who}", *[(label, (float(x), float(y), float(x + w), float(y + h))) for label, (x, y), w, h in own])
        for who, own in enumerate(rows)
    ]


@st.composite
def tied_answers(draw: st.DrawFn) -> list[Answer]:
    """Three people whose boxes are equally large and a few whole pixels apart, so that many overlap equally."""
    shape = st.tuples(st.sampled_from(LABELS), st.integers(0, 4))
    rows = draw(st.lists(st.lists(shape, max_size=4), min_size=3, max_size=3))
    return [answer(f"r{who}", *[(label, moved(float(by))) for label, by in own]) for who, own in enumerate(rows)]


def score(right: int, missed: int = 0, invented: int = 0, misnamed: int = 0) -> GoldenScore:
    """Of cells; `misnamed` of them were called platelets."""
    table = np.array([[right, misnamed, missed], [0, 0, 0], [invented, 0, 0]], dtype=float)
    return GoldenScore(LABELS, table, np.full(right + misnamed, 0.8), np.zeros(4 * (right + misnamed)))
