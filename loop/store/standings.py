"""Standings of reviewers, and works to be done anew."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import Connection, and_, delete, exists, not_, or_, select

from loop.domain.quality.golden import Decided, KnownStanding, Redo, Shared
from loop.domain.review.lot import LotState
from loop.domain.review.qa import AnswerStanding
from loop.domain.review.tasks import ADJUDICATION_SEAT, QA_SEAT, Outcome, TaskState
from loop.store.schema import held_answers, judging_standings, lots, redos, standings, submissions, tasks
from loop.store.statements import columns, first, ignoring_conflicts, replaced

# Of the round of a submission: the truth, or what is on its way there, is not of one person alone.
_LAST, _LAST_TASK = submissions.alias("last"), tasks.alias("last_task")
_ADJUDICATED = (
    exists()
    .where(_LAST.c.work_id == submissions.c.work_id, _LAST.c.round == submissions.c.round)
    .where(_LAST.c.task_id == _LAST_TASK.c.id, _LAST_TASK.c.seat == ADJUDICATION_SEAT)
    .where(_LAST.c.outcome == Outcome.SUBMITTED)
)
_MERGED_TRUTH = and_(
    exists()
    .where(_LAST.c.work_id == submissions.c.work_id, _LAST.c.round == submissions.c.round, _LAST.c.settles)
    .where(_LAST.c.task_id == _LAST_TASK.c.id)
    .where(or_(_LAST_TASK.c.seat > 0, _LAST.c.outcome == Outcome.ACCEPTED)),
    not_(_ADJUDICATED),
)
_MERGED_ANSWER = and_(
    exists().where(
        held_answers.c.work_id == submissions.c.work_id,
        held_answers.c.round == submissions.c.round,
        held_answers.c.standing != AnswerStanding.SETTLED,
    ),
    not_(_ADJUDICATED),
)


_TABLES = {False: standings, True: judging_standings}


class SqlStandings:
    """Implements `loop.domain.ports.Standings`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, project_id: str, reviewer: str, *, judging: bool = False) -> KnownStanding | None:
        row = first(self._connection, _TABLES[judging], project_id=project_id, reviewer=reviewer)
        return None if row is None else KnownStanding(**row._mapping, judging=judging)

    def all(self, project_id: str, *, judging: bool = False) -> Mapping[str, KnownStanding]:
        table = _TABLES[judging]
        rows = self._connection.execute(select(table).where(table.c.project_id == project_id))
        return {row.reviewer: KnownStanding(**row._mapping, judging=judging) for row in rows}

    def save(self, known: KnownStanding) -> None:
        table = _TABLES[known.judging]
        replaced(self._connection, table, {column.name: getattr(known, column.name) for column in table.c})

    def decided(self, project_id: str, reviewer: str, until: datetime) -> list[Decided]:
        own = and_(held_answers.c.work_id == submissions.c.work_id, held_answers.c.submission_id == submissions.c.id)
        waits = and_(
            held_answers.c.standing.in_((AnswerStanding.WAITING, AnswerStanding.RECALLED)),
            lots.c.state != LotState.REJECTED,
        )
        alone = or_(tasks.c.people == 1, tasks.c.seat.in_((ADJUDICATION_SEAT, QA_SEAT)), tasks.c.round > tasks.c.begun)
        ended = and_(tasks.c.state == TaskState.SKIPPED, tasks.c.owner == reviewer)
        rows = self._connection.execute(
            select(
                submissions.c.id.label("submission_id"),
                submissions.c.work_id,
                submissions.c.created_at,
                tasks.c.lot_id,
                lots.c.state.label("lot_state"),
                (tasks.c.seat == QA_SEAT).label("judging"),
            )
            .join(tasks, tasks.c.id == submissions.c.task_id)
            .outerjoin(held_answers, own)
            .outerjoin(lots, lots.c.id == tasks.c.lot_id)
            .where(
                submissions.c.project_id == project_id,
                submissions.c.reviewer == reviewer,
                submissions.c.created_at <= until,
                submissions.c.round == tasks.c.round,
                or_(
                    and_(submissions.c.outcome == Outcome.SUBMITTED, or_(submissions.c.settles, waits), alone),
                    and_(submissions.c.outcome == Outcome.ACCEPTED, submissions.c.settles),
                    and_(submissions.c.outcome == Outcome.SKIPPED, ended),
                ),
            )
            .order_by(submissions.c.created_at, submissions.c.id)
        )
        return [Decided(**row._mapping) for row in rows]

    def shared(self, project_id: str, reviewer: str, until: datetime) -> list[Shared]:
        rows = self._connection.execute(
            select(
                submissions.c.id.label("submission_id"),
                submissions.c.work_id,
                submissions.c.item_digest,
                submissions.c.created_at,
            )
            .join(tasks, tasks.c.id == submissions.c.task_id)
            .where(
                submissions.c.project_id == project_id,
                submissions.c.reviewer == reviewer,
                submissions.c.outcome == Outcome.SUBMITTED,
                submissions.c.created_at <= until,
                tasks.c.people > 1,
                tasks.c.seat > 0,
                tasks.c.round == tasks.c.begun,
                submissions.c.round == tasks.c.round,
                or_(_MERGED_TRUTH, _MERGED_ANSWER),
            )
            .order_by(submissions.c.created_at, submissions.c.id)
        )
        return [Shared(**row._mapping) for row in rows]

    def ask_again(self, wanted: Sequence[Redo]) -> None:
        if wanted:
            self._connection.execute(ignoring_conflicts(self._connection, redos), [columns(one) for one in wanted])

    def redos(self, *, limit: int) -> list[Redo]:
        rows = self._connection.execute(select(redos).order_by(redos.c.submission_id).limit(limit))
        return [Redo(**row._mapping) for row in rows]

    def done_again(self, submission_id: str) -> None:
        self._connection.execute(delete(redos).where(redos.c.submission_id == submission_id))
