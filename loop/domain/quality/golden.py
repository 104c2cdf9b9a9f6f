"""Golden items, what people answered to them, and what is known of people by it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from loop.domain.policy.quality_rules import Standing
from loop.domain.quality.reviewer_quality import GoldenScore, golden_score
from loop.domain.quality.settling import answer_of
from loop.domain.quality.standing import Check
from loop.domain.recipes.recipe import Recipe
from loop.domain.review.lot import LotState
from loop.domain.review.tasks import Submission
from loop.domain.truth import Shape

_DIGITS = 5  # of overlaps and offsets, which are kept for their means


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenItem:
    """shapes: the trusted answer. version: grows when that changes; answers are scored against the present one alone.
    predicted: it has a prediction, so that it can look like work that begins with one."""

    project_id: str
    item_digest: str
    version: int
    shapes: tuple[Shape, ...]
    added_by: str
    added_at: datetime
    predicted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenSeat:
    """A golden item in the hands of a person. prediction_id: whose detections are shown; None: none are. judged_id: the
    answer to it that the person is to judge; None: the person is to answer."""

    task_id: str
    project_id: str
    reviewer: str
    item_digest: str
    prediction_id: str | None
    given_at: datetime
    closed: bool = False
    judged_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenAnswer:
    """score: against `version` of the item; None for a skip or a verdict, and where the item is golden no more. sound:
    whether it is right (judging.py), of a verdict whether what comes of it is; None where that cannot be said.
    judged_id: the answer that it is a verdict on."""

    submission: Submission
    version: int
    score: Mapping[str, Any] | None
    sound: bool | None = None
    judged_id: str | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """What is known of an answer by its score (`score_to_json`)."""

    submission_id: str
    item_digest: str
    at: datetime
    score: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownStanding:
    """Of a reviewer in a project, as who answers, or (judging) as who judges answers. since: from when on golden items
    count. actor: an operator's name, or "golden items". why: for people. training: whether they see trusted answers;
    None: as the project says."""

    project_id: str
    reviewer: str
    standing: Standing
    since: datetime
    actor: str
    why: str
    training: bool | None = None
    judging: bool = False


@dataclass(frozen=True, slots=True)
class Tally:
    """Of a project and a person. marked: whether there are golden items. given: how many the person was ever given;
    waiting: those that are not answered. known, judging: their standings where one was ever given."""

    marked: bool
    given: int
    waiting: int
    known: KnownStanding | None
    judging: KnownStanding | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A work that the submission `submission_id` of one person decided: its answer alone is the ground truth, or waits
    to become it with its lot; or it let an answer stand in QA; or it was the skip with which the work ended. lot_state:
    None where it is in no lot. judging: it was said in QA."""

    submission_id: str
    work_id: str
    created_at: datetime
    lot_id: str | None
    lot_state: LotState | None
    judging: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """A work with an answer of one person among others, of which its truth was merged, or is to be."""

    submission_id: str
    work_id: str
    item_digest: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Redo:
    """A work that is to be done anew, or looked at by another person, since who decided it was paused."""

    work_id: str
    project_id: str
    submission_id: str
    reviewer: str


@dataclass(frozen=True, slots=True)
class Feedback:
    """What somebody in training is told: the trusted shapes, and how the answer compares. right: shapes with the right
    place and label; precision, recall: in [0, 1]."""

    shapes: tuple[Shape, ...]
    precision: float
    recall: float
    right: int


def scored(shapes: Sequence[Shape], trusted: Sequence[Shape], recipe: Recipe, *, iou: float) -> GoldenScore:
    """Both under the recipe's names; regions alone are compared."""
    answer, truth = (answer_of(who, recipe.translated(given)) for who, given in (("", shapes), ("truth", trusted)))
    return golden_score(answer, truth, labels=recipe.label_names, iou=iou)


def score_to_json(score: GoldenScore) -> dict[str, Any]:
    """Counts by the names of labels, so that it can be read under a later recipe. "" is "nothing there", or "not
    marked"."""
    names = (*score.labels, "")
    cells = zip(*np.nonzero(score.table), strict=True)
    return {
        "counts": [[names[i], names[j], int(score.table[i, j])] for i, j in cells],
        "ious": np.round(score.ious, _DIGITS).tolist(),
        "offsets": np.round(score.offsets, _DIGITS).tolist(),
    }


def score_from_json(document: Mapping[str, Any], recipe: Recipe) -> GoldenScore:
    """Under the labels of `recipe`: what was renamed has its new name, what is gone does not count."""
    (score,) = _scores([document], recipe)
    return score


def checks_of(answers: Sequence[Scored], recipe: Recipe) -> list[Check]:
    scores = _scores([one.score for one in answers], recipe)
    return [Check(one.at, score) for one, score in zip(answers, scores, strict=True)]


def _scores(documents: Sequence[Mapping[str, Any]], recipe: Recipe) -> list[GoldenScore]:
    names = recipe.label_names
    number: dict[str | None, int] = {name: at for at, name in enumerate((*names, ""))}
    given = {name for document in documents for row in document["counts"] for name in row[:2]}
    column = {name: number.get(_present(recipe, name)) for name in given}
    found = []
    for document in documents:
        table = np.zeros((len(names) + 1, len(names) + 1))
        for true, said, count in document["counts"]:
            cell = column[true], column[said]
            if None not in cell:
                table[cell] += count
        ious, offsets = (np.array(document[name], dtype=np.float64) for name in ("ious", "offsets"))
        found.append(GoldenScore(labels=names, table=table, ious=ious, offsets=offsets))
    return found


def _present(recipe: Recipe, name: str) -> str | None:
    if name == "":
        return name
    label = recipe.label_of(name)
    return label.name if label is not None else None
