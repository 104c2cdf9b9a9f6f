"""In which state each work of the review queue must be, by what was said of it: nothing here asks what the service
makes of a case, but where the case rests on whether answers agree.

For projects where nobody was paused, no lease ran out, and nothing was re-opened but lots.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from math import ceil

from loop.domain.policy.workflow import Qa, drawn_for_qa
from loop.domain.ports import Transaction
from loop.domain.project import Project
from loop.domain.review.lot import BY_SAMPLE, Lot, LotState, Member
from loop.domain.review.qa import AnswerStanding, HeldAnswer
from loop.domain.review.tasks import ADJUDICATION_SEAT, QA_SEAT, Outcome, Submission, Task, TaskState
from loop.domain.stage import Stage
from loop.domain.truth import GroundTruth
from loop.review.lots import Lots
from loop.store.database import SqlStore

VERDICTS = (Outcome.ACCEPTED, Outcome.SUBMITTED)


@dataclass(frozen=True, slots=True)
class Work:
    """What is kept of a work. said: oldest first, of all rounds. adjudicated: whether its first answers differ too
    much. sampled: its lot's verdict, while there is none, waits for what QA says of it."""

    project: Project
    tasks: Sequence[Task]
    said: Sequence[Submission]
    held: HeldAnswer | None
    truth: GroundTruth | None
    adjudicated: bool
    lot: Lot | None
    sampled: bool

    @property
    def id(self) -> str:
        return self.tasks[0].work_id

    @property
    def round(self) -> int:
        (found,) = {task.round for task in self.tasks}
        return found

    def of_round(self, number: int) -> list[tuple[int, Submission]]:
        """With the seats that they are for."""
        seats = {task.id: task.seat for task in self.tasks}
        return [(seats[one.task_id], one) for one in self.said if one.round == number]

    @property
    def unfinished(self) -> list[int]:
        """Seats that somebody is to take, or has taken."""
        return [task.seat for task in self.tasks if not task.finished]

    @property
    def is_void(self) -> bool:
        """It ended without an answer."""
        skips = sum(one.outcome is Outcome.SKIPPED for _, one in self.of_round(self.round))
        return skips >= self.project.policy.queue.skips_before_expert

    @property
    def answer(self) -> list[Submission]:
        """What it came to in its present round: the answers that it is made of; none where some are missing."""
        given = [(seat, one) for seat, one in self.of_round(self.round) if one.outcome is Outcome.SUBMITTED]
        alone = [one for seat, one in given if seat == ADJUDICATION_SEAT or (self.round and seat != QA_SEAT)]
        first_hand = [one for seat, one in given if seat > 0]
        assert len(first_hand) <= (1 if self.round else self.people), "more people answered than were asked"
        if alone:
            return alone
        return first_hand if len(first_hand) == self.people and not self.adjudicated else []

    @property
    def people(self) -> int:
        return self.project.policy.queue.people[Stage.ANNOTATE]

    @property
    def verdict(self) -> Submission | None:
        """QA's, which settles it."""
        judged = [one for seat, one in self.of_round(self.round) if seat == QA_SEAT and one.outcome in VERDICTS]
        return judged[0] if judged else None


def check_works(store: SqlStore, project_id: str, works: int) -> Mapping[str, str]:
    """Each work is in the state that follows from what was said of it, with tasks for exactly what is missing; gives
    the states of those of which anything was said. works: of the project."""
    secret = store.secret()
    with store.begin() as tx:
        project = tx.projects.get(project_id)
        said = tx.submissions.page(project_id, after=None, limit=10**6)
        by_work = sorted(said, key=lambda one: (one.work_id, one.created_at, one.id))
        found = [_work(tx, project, list(those)) for _, those in groupby(by_work, key=lambda one: one.work_id)]
        states = {work.id: _checked(work, secret) for work in found}
        counts = tx.tasks.counts(project_id, datetime.now(UTC))
    to_do = sum(len(work.unfinished) for work in found)
    untouched = (works - len(found)) * project.policy.queue.people[Stage.ANNOTATE]
    assert counts[TaskState.OPEN] + counts[TaskState.LEASED] == to_do + untouched
    return states


def _work(tx: Transaction, project: Project, said: Sequence[Submission]) -> Work:
    work_id = said[0].work_id
    tasks = tx.tasks.work_for_update(work_id)
    lot_id, agreement = tasks[0].lot_id, tx.agreements.get(work_id, tasks[0].round)
    lot = None if lot_id is None else tx.lots.get(project.id, lot_id)
    return Work(
        project=project,
        tasks=tasks,
        said=said,
        held=tx.held_answers.find(work_id),
        truth=tx.truths.current(project.id, said[0].item_digest),
        adjudicated=agreement is not None and agreement.adjudicated,
        lot=lot,
        sampled=lot is not None and work_id in _sample(lot, tx.lots.members(lot.id)),
    )


def _sample(lot: Lot, members: Sequence[Member]) -> set[str]:
    """Of a fixed share: the first that count."""
    counting = [one for one in members if one.place is not None and (one.defect is not None or not one.void)]
    return {one.work_id for one in counting[: ceil(lot.rules.share * len(counting))]}


def _checked(work: Work, secret: bytes) -> str:
    for number in range(work.round + 1):
        said = Counter(one.reviewer for _, one in work.of_round(number))
        assert not said or max(said.values()) == 1, "somebody had two says in a round"
    if work.is_void:
        assert work.held is None and not work.unfinished
        _check_no_truth_of(work)
        return "void"
    if not work.answer:
        assert work.held is None
        assert not any(seat == QA_SEAT for seat in work.unfinished)
        _check_asked(work)
        _check_no_truth_of(work)
        return "asked"
    standing = AnswerStanding.SETTLED if work.held is None else work.held.standing
    assert standing in _allowed(work, secret), _told(work)
    assert work.unfinished == ([QA_SEAT] if standing is AnswerStanding.IN_QA else [])
    if standing is AnswerStanding.SETTLED:
        _check_truth(work)
    else:
        _check_no_truth_of(work)
    return standing.value


def _check_asked(work: Work) -> None:
    """Of exactly those whose answers are missing."""
    if work.round:  # of whoever gave the answer that was returned
        (seat,) = work.unfinished
        before = [one.reviewer for number, one in work.of_round(work.round - 1) if number == seat]
        assert before
        return
    given = sum(seat > 0 and one.outcome is Outcome.SUBMITTED for seat, one in work.of_round(0))
    if given == work.people:
        assert work.unfinished == [ADJUDICATION_SEAT]
    else:
        assert len(work.unfinished) == work.people - given and min(work.unfinished) > 0


def _allowed(work: Work, secret: bytes) -> set[AnswerStanding]:
    """Where its answer may be on its way to the truth."""
    workflow = work.project.policy.workflow
    if work.verdict:
        return {AnswerStanding.SETTLED}
    if work.lot is not None:
        return _allowed_in_lot(work, work.lot)
    drawn = workflow.qa is Qa.ALL or drawn_for_qa(secret, work.id, workflow.share)
    return {AnswerStanding.IN_QA} if drawn or work.round else {AnswerStanding.SETTLED}


def _allowed_in_lot(work: Work, lot: Lot) -> set[AnswerStanding]:
    looked_at = any(task.seat == QA_SEAT and task.state is TaskState.LEASED for task in work.tasks)
    if work.round and lot.version > 1:
        # It came before somebody accepted the rejected lot, or since; QA has had its say, so that no later verdict
        # withdraws it.
        return {AnswerStanding.IN_QA, AnswerStanding.SETTLED}
    if lot.state is LotState.ACCEPTED:
        return {AnswerStanding.SETTLED, *([AnswerStanding.IN_QA] if looked_at else [])}
    if lot.state is LotState.REJECTED or work.round or work.sampled:
        return {AnswerStanding.IN_QA}
    return {AnswerStanding.WAITING}


def _check_truth(work: Work) -> None:
    """It is made of the answers, and of what QA says of them; where several differ, it lies between them."""
    made_of = work.answer
    if work.verdict:
        made_of = [*(made_of if work.verdict.outcome is Outcome.ACCEPTED else []), work.verdict]
    assert work.truth is not None
    assert set(work.truth.submission_ids) == {one.id for one in made_of}, _told(work)
    assert work.lot is not None or work.truth.version == 1
    (shape,) = work.truth.shapes
    given = [answer.shapes[0] for answer in made_of]
    assert {one.label for one in given} == {shape.label}
    for edge, value in enumerate(shape.box):
        assert min(one.box[edge] for one in given) <= value <= max(one.box[edge] for one in given)


def _told(work: Work) -> str:
    said = [f"{one.id} {one.task_id} {one.outcome} in round {one.round}" for one in work.said]
    truth = () if work.truth is None else (work.truth.version, *work.truth.submission_ids)
    return f"{said}; truth {truth}; held {work.held}; lot {work.lot}"


def _check_no_truth_of(work: Work) -> None:
    """Of a lot that was accepted before, the truth of then stays while QA looks again."""
    if work.lot is None:
        assert work.truth is None
    elif work.truth is not None:
        assert set(work.truth.submission_ids) <= {one.id for one in work.said}


def check_lots(
    store: SqlStore, project_id: str, states: Mapping[str, str], decided: Mapping[tuple[str, int], str]
) -> None:
    """Each lot counts what its works are, and what QA said of them; it is as it was decided last. states: of the works
    of which anything was said. decided: by hand, by lot and version."""
    lots = Lots(store, lambda: datetime.now(UTC))
    for listed in lots.page(project_id, after=None, limit=10**6):
        figures, members = lots.get(project_id, listed.lot.id)
        lot = figures.lot
        found = Counter(states.get(member.work_id, "asked") for member in members)
        assert lot.items == len(members) == lot.rules.size
        assert (figures.unanswered, figures.void) == (found["asked"], found["void"])
        assert {standing.value: n for standing, n in figures.answers.items() if n} == {
            state: n for state, n in found.items() if state not in ("asked", "void")
        }
        if lot.actor == BY_SAMPLE and lot.state.decided:
            assert (lot.defects == 0) is (lot.state is LotState.ACCEPTED)
        for (lot_id, version), state in decided.items():
            assert lot_id != lot.id or lot.version > version or (lot.version, lot.state.value) == (version, state)
        with store.read() as tx:
            for member in members:
                said = tx.submissions.of_item(project_id, member.item_digest)
                assert member.defect == _defect(said, f"{member.work_id}-{Stage.QA}")


def _defect(said: Sequence[Submission], qa_task: str) -> bool | None:
    """What QA found the first time; what it corrected here was wrong."""
    judged = [one.outcome for one in said if one.task_id == qa_task and one.outcome is not Outcome.SKIPPED]
    return None if not judged else judged[0] is not Outcome.ACCEPTED
