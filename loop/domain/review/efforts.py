"""What the work of people took: one record for each answer, judgement or skip, and what they come to by reviewer,
label, source, hour and day."""

from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from enum import StrEnum

import numpy as np

from loop.domain.review.pace import Pace, pace_of
from loop.domain.review.tasks import Outcome, Submission, Task
from loop.domain.stage import Stage

_LEAST_SECONDS = 0.1  # a clock that went back


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """Of one submission. labels: how many shapes of each are in the answer. corrections: by how many shapes it differs
    from the prediction; None for skips, and where nothing was predicted.

    seconds: from the lease to the submission. active_seconds: of them, those in which the reviewer's tool saw the
    reviewer at work; None where it does not say. proposal_shown: whether the prediction was before the reviewer, where
    that went by lot; else None.
    """

    submission_id: str
    project_id: str
    item_digest: str
    task_id: str
    work_id: str
    round: int
    reviewer: str
    source: str
    stage: Stage
    outcome: Outcome
    labels: Mapping[str, int]
    corrections: int | None
    seconds: float
    active_seconds: float | None
    proposal_shown: bool | None
    created_at: datetime

    @property
    def answered(self) -> bool:
        return self.outcome is Outcome.SUBMITTED

    @property
    def judged(self) -> bool:
        """QA let an answer stand, or gave it back. What QA corrects is an answer of its own."""
        return self.outcome in (Outcome.ACCEPTED, Outcome.RETURNED)

    @property
    def shapes(self) -> int:
        return sum(self.labels.values())


class WorkBy(StrEnum):
    REVIEWER = "reviewer"
    LABEL = "label"
    SOURCE = "source"
    HOUR = "hour"  # of the day, 00 to 23
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Inspected:
    """answers: of one person, those that QA looked at. faulty: of them, those that it gave back or corrected."""

    answers: int = 0
    faulty: int = 0

    @property
    def share(self) -> float | None:
        return self.faulty / self.answers if self.answers else None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkRow:
    """Of a group of tasks. tasks: answered; judged: those of QA that let an answer stand or gave it back. shapes: in
    the answers, by label those of the label. pace: of the answers; judging: of the judgements; None where there are
    none. hours: of working time, judgements and skips too, with the idle cut. corrected: share of answers that differ
    from what was predicted, None where nothing was. inspected: what QA said of the answers, by reviewer alone."""

    key: str
    tasks: int
    judged: int
    shapes: int
    skips: int
    pace: Pace | None
    judging: Pace | None
    hours: float
    corrected: float | None
    inspected: Inspected = Inspected()

    @property
    def done(self) -> int:
        return self.tasks + self.judged

    @property
    def tasks_per_hour(self) -> float | None:
        """Answered and judged; None where all were skipped."""
        return self.done / self.hours if self.done else None

    @property
    def skipped(self) -> float:
        """Share of all."""
        return self.skips / (self.done + self.skips)


def effort_of(submission: Submission, task: Task) -> Effort:
    labels: dict[str, int] = {}
    for shape in submission.shapes:
        labels[shape.label] = labels.get(shape.label, 0) + 1
    answered = submission.outcome is Outcome.SUBMITTED
    return Effort(
        submission_id=submission.id,
        project_id=submission.project_id,
        item_digest=submission.item_digest,
        task_id=submission.task_id,
        work_id=submission.work_id,
        round=submission.round,
        reviewer=submission.reviewer,
        source=task.source,
        stage=task.stage,
        outcome=submission.outcome,
        labels=labels,
        corrections=sum(submission.corrections.values()) if answered and task.prediction_id else None,
        seconds=submission.seconds,
        active_seconds=submission.active_seconds,
        proposal_shown=submission.proposal_shown,
        created_at=submission.created_at,
    )


def worked(efforts: Iterable[Effort]) -> Iterator[tuple[Effort, float]]:
    """Each with the seconds that it took its reviewer, above 0. efforts: in the order of their time.

    What the tool measured, where it did. Else the time from the lease, but not from before the same person's previous
    submission: tasks are leased ahead, and one that waits for its turn is not being worked on.
    """
    previous: dict[str, datetime] = {}
    for effort in efforts:
        seconds = effort.active_seconds
        if seconds is None:
            before = previous.get(effort.reviewer)
            seconds = effort.seconds
            if before is not None:
                seconds = min(seconds, (effort.created_at - before).total_seconds())
        previous[effort.reviewer] = effort.created_at
        yield effort, max(seconds, _LEAST_SECONDS)


def work_rows(efforts: Iterable[Effort], by: WorkBy, zone: tzinfo) -> list[WorkRow]:
    """In the order of their keys. An answer with several labels counts in the group of each, and so does a judgement of
    one; what has no shape, and a skip, in that of "". zone: in which hours and days are told. Keeps a few bytes of each
    effort."""
    groups: dict[str, _Group] = {}
    keys = _KEYS[by]
    for effort, seconds in worked(efforts):
        for key in keys(effort, zone):
            if key not in groups:
                groups[key] = _Group()
            groups[key].add(effort, seconds, effort.labels.get(key, 0) if by is WorkBy.LABEL else effort.shapes)
    return [groups[key].row(key) for key in sorted(groups)]


class _Group:
    def __init__(self) -> None:
        self._answers, self._judgements, self._skips = array("d"), array("d"), array("d")  # seconds
        self._shapes = 0
        self._compared = 0
        self._corrected = 0

    def add(self, effort: Effort, seconds: float, shapes: int) -> None:
        if not effort.answered:
            (self._judgements if effort.judged else self._skips).append(seconds)
            return
        self._answers.append(seconds)
        self._shapes += shapes
        if effort.corrections is not None:
            self._compared += 1
            self._corrected += effort.corrections > 0

    def row(self, key: str) -> WorkRow:
        pace, judging = _pace_of(self._answers), _pace_of(self._judgements)
        took = _seconds(self._answers, pace) + _seconds(self._judgements, judging)
        return WorkRow(
            key=key,
            tasks=len(self._answers),
            judged=len(self._judgements),
            shapes=self._shapes,
            skips=len(self._skips),
            pace=pace,
            judging=judging,
            hours=(took + _seconds(self._skips, pace or judging)) / 3600.0,
            corrected=self._corrected / self._compared if self._compared else None,
        )


def _pace_of(seconds: "array[float]") -> Pace | None:
    return pace_of(seconds) if seconds else None


def _seconds(took: "array[float]", like: Pace | None) -> float:
    """In all, each cut to what is usual for such work, where that is known."""
    return float(np.minimum(took, like.usual_most if like else np.inf).sum())


_KEYS: Mapping[WorkBy, Callable[[Effort, tzinfo], Iterable[str]]] = {
    WorkBy.REVIEWER: lambda effort, _: (effort.reviewer,),
    WorkBy.SOURCE: lambda effort, _: (effort.source,),
    WorkBy.LABEL: lambda effort, _: effort.labels or ("",),
    WorkBy.HOUR: lambda effort, zone: (f"{effort.created_at.astimezone(zone).hour:02}",),
    WorkBy.DAY: lambda effort, zone: (effort.created_at.astimezone(zone).date().isoformat(),),
}
