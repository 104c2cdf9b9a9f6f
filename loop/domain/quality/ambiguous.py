"""Which items people find hard to tell: they answer them differently, or take long."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from loop.domain.quality.agreement import agreement_of
from loop.domain.quality.answers import Answer
from loop.domain.review.efforts import Effort, worked
from loop.domain.review.pace import TaskTime, Timing, ambiguity, timed
from loop.domain.stage import Stage
from loop.domain.truth import Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class AmbiguousItem:
    """ambiguity: in [0, 1]. agreement: F1 of its answers, None with fewer than two. deviation: how much longer than
    expected its tasks took, in robust standard deviations; the median. seconds: the median. answers: how many."""

    item_digest: str
    ambiguity: float
    agreement: float | None
    deviation: float
    seconds: float
    answers: int


def newest_answers(efforts: Sequence[Effort]) -> list[tuple[Effort, float]]:
    """The answers of the newest round of each work, with their seconds; not adjudications, which take longer for
    another reason. efforts: in the order of their time."""
    newest: dict[str, int] = {}
    for effort in efforts:
        newest[effort.work_id] = max(effort.round, newest.get(effort.work_id, 0))
    return [
        (effort, seconds)
        for effort, seconds in worked(efforts)
        if effort.answered and effort.stage is not Stage.ADJUDICATE and effort.round == newest[effort.work_id]
    ]


def compared(answers: Sequence[tuple[Effort, float]]) -> list[str]:
    """Ids of the submissions to items that several people answered."""
    people: dict[str, set[str]] = {}
    for effort, _ in answers:
        people.setdefault(effort.item_digest, set()).add(effort.reviewer)
    return [effort.submission_id for effort, _ in answers if len(people[effort.item_digest]) > 1]


def ambiguous_items(
    answers: Sequence[tuple[Effort, float]], shapes: Mapping[str, Sequence[Shape]], *, iou: float
) -> list[AmbiguousItem]:
    """The most ambiguous first. answers: `newest_answers`; shapes: by submission, of those that are `compared`. iou: as
    of `agreement_of`; only shapes with an area count there."""
    timings = timed([_task_time(effort, seconds) for effort, seconds in answers])
    of_item: dict[str, list[tuple[Effort, Timing]]] = {}
    for (effort, _), timing in zip(answers, timings, strict=True):
        of_item.setdefault(effort.item_digest, []).append((effort, timing))
    items = [_item(digest, of_item[digest], shapes, iou) for digest in of_item]
    return sorted(items, key=lambda item: (-item.ambiguity, item.item_digest))


def _item(
    digest: str, answers: Sequence[tuple[Effort, Timing]], shapes: Mapping[str, Sequence[Shape]], iou: float
) -> AmbiguousItem:
    # By person, their last: the same one may have answered several works on an item.
    said = {e.reviewer: shapes[e.submission_id] for e, _ in answers if e.submission_id in shapes}
    agreement = None
    if len(said) > 1:
        agreement = agreement_of([_answer(reviewer, drawn) for reviewer, drawn in said.items()], iou=iou).f1
    deviations = [timing.deviation for _, timing in answers]
    return AmbiguousItem(
        item_digest=digest,
        ambiguity=ambiguity(agreement=agreement, deviations=deviations),
        agreement=agreement,
        deviation=median(deviations),
        seconds=median(timing.task.seconds for _, timing in answers),
        answers=len(answers),
    )


def _answer(reviewer: str, shapes: Sequence[Shape]) -> Answer:
    regions = [shape for shape in shapes if shape.type.is_region]
    return Answer(reviewer, tuple(shape.label for shape in regions), np.array([shape.box for shape in regions]))


def _task_time(effort: Effort, seconds: float) -> TaskTime:
    return TaskTime(task_id=effort.task_id, reviewer=effort.reviewer, shapes=effort.shapes, seconds=seconds)
