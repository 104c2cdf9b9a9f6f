"""Golden items, who was given which, and what they answered."""

from dataclasses import fields
from datetime import datetime

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    and_,
    bindparam,
    exists,
    func,
    literal,
    not_,
    select,
    update,
)

from loop.domain.errors import AlreadySubmitted
from loop.domain.quality.golden import GoldenAnswer, GoldenItem, GoldenSeat, KnownStanding, Scored, Tally
from loop.domain.review.tasks import Submission
from loop.store.item_facts import Change, ItemChanges
from loop.store.ready import Ready
from loop.store.schema import golden_answers, golden_items, golden_seats, predictions, standings, submissions
from loop.store.statements import columns, first, inserted, one, replaced

_SUBMISSION = [field.name for field in fields(Submission)]
_PRESENT = not_(golden_items.c.removed)
_PREDICTED = exists().where(
    predictions.c.project_id == golden_items.c.project_id, predictions.c.item_digest == golden_items.c.item_digest
)
_PROJECT: BindParameter[str] = bindparam("project")
_REVIEWER: BindParameter[str] = bindparam("reviewer")
_OF_PERSON = and_(golden_seats.c.project_id == _PROJECT, golden_seats.c.reviewer == _REVIEWER)
_GIVEN = select(func.count()).select_from(golden_seats).where(_OF_PERSON)
# With each lease: one statement, made once, which has a row also for who was never given a standing.
_STANDING = tuple(field.name for field in fields(KnownStanding))
_TALLY = Ready(
    select(
        select(func.count())
        .select_from(golden_items)
        .where(golden_items.c.project_id == _PROJECT, _PRESENT)
        .scalar_subquery()
        .label("marked"),
        _GIVEN.scalar_subquery().label("given"),
        _GIVEN.where(not_(golden_seats.c.closed)).scalar_subquery().label("waiting"),
        *(standings.c[name] for name in _STANDING),
    ).select_from(
        select(literal(1))
        .subquery()
        .outerjoin(standings, and_(standings.c.project_id == _PROJECT, standings.c.reviewer == _REVIEWER))
    )
)
_SCORED = (
    select(golden_answers.c.id, golden_answers.c.item_digest, golden_answers.c.created_at, golden_answers.c.score)
    .join(
        golden_items,
        and_(
            golden_items.c.project_id == golden_answers.c.project_id,
            golden_items.c.item_digest == golden_answers.c.item_digest,
            golden_items.c.version == golden_answers.c.version,
            _PRESENT,
        ),
    )
    .where(
        golden_answers.c.project_id == _PROJECT,
        golden_answers.c.reviewer == _REVIEWER,
        golden_answers.c.score.is_not(None),
    )
    .order_by(golden_answers.c.created_at.desc(), golden_answers.c.id.desc())
    .limit(bindparam("most"))
)


class SqlGolden:
    """Implements `loop.domain.ports.Golden`."""

    def __init__(self, connection: Connection, changes: ItemChanges) -> None:
        self._connection = connection
        self._changes = changes

    def save(self, item: GoldenItem) -> None:
        self._changes.note(item.project_id, item.item_digest, Change.GOLDEN)
        row = columns(item) | {"removed": False}
        row.pop("predicted")
        replaced(self._connection, golden_items, row)

    def remove(self, project_id: str, item_digest: str) -> bool:
        self._changes.note(project_id, item_digest, Change.GOLDEN)
        done = self._connection.execute(
            update(golden_items).where(_is_item(project_id, item_digest), _PRESENT).values(removed=True)
        )
        return done.rowcount > 0

    def version(self, project_id: str, item_digest: str) -> int:
        row = first(self._connection, golden_items, project_id=project_id, item_digest=item_digest)
        return 0 if row is None else int(row.version)

    def get(self, project_id: str, item_digest: str) -> GoldenItem | None:
        found = self._items(_is_item(project_id, item_digest))
        return found[0] if found else None

    def all(self, project_id: str) -> list[GoldenItem]:
        return self._items(golden_items.c.project_id == project_id)

    def _items(self, *where: ColumnElement[bool]) -> list[GoldenItem]:
        wanted = [golden_items.c[field.name] for field in fields(GoldenItem) if field.name != "predicted"]
        rows = self._connection.execute(
            select(*wanted, _PREDICTED.label("predicted"))
            .where(_PRESENT, *where)
            .order_by(golden_items.c.added_at.desc(), golden_items.c.item_digest)
        )
        return [GoldenItem(**row._mapping) for row in rows]

    def tally(self, project_id: str, reviewer: str) -> Tally:
        ((marked, given, waiting, *found),) = _TALLY.rows(
            self._connection, {"project": project_id, "reviewer": reviewer}
        )
        known = dict(zip(_STANDING, found, strict=True))
        return Tally(marked, given, waiting, KnownStanding(**known) if known["reviewer"] else None)

    def eligible(self, project_id: str, reviewer: str, *, given_before: datetime, predicted: bool) -> list[str]:
        given = exists().where(
            golden_seats.c.project_id == golden_items.c.project_id,
            golden_seats.c.item_digest == golden_items.c.item_digest,
            golden_seats.c.reviewer == reviewer,
            golden_seats.c.given_at > given_before,
        )
        answered = exists().where(
            submissions.c.project_id == golden_items.c.project_id,
            submissions.c.item_digest == golden_items.c.item_digest,
            submissions.c.reviewer == reviewer,
        )
        wanted = select(golden_items.c.item_digest).where(
            golden_items.c.project_id == project_id, _PRESENT, not_(given), not_(answered)
        )
        return list(self._connection.scalars(wanted.where(_PREDICTED) if predicted else wanted))

    def give(self, seat: GoldenSeat) -> None:
        replaced(self._connection, golden_seats, columns(seat))

    def seat(self, task_id: str) -> GoldenSeat:
        return GoldenSeat(**one(self._connection, golden_seats, "golden task", task_id=task_id)._mapping)

    def waiting(self, project_id: str, reviewer: str) -> list[GoldenSeat]:
        found = select(golden_seats).where(_OF_PERSON, not_(golden_seats.c.closed)).order_by(golden_seats.c.given_at)
        rows = self._connection.execute(found, {"project": project_id, "reviewer": reviewer})
        return [GoldenSeat(**row._mapping) for row in rows]

    def close(self, task_id: str) -> None:
        self._connection.execute(update(golden_seats).where(golden_seats.c.task_id == task_id).values(closed=True))

    def answer(self, answer: GoldenAnswer) -> None:
        row = columns(answer.submission) | {"version": answer.version}
        if answer.score is not None:  # else there is no document, rather than one that says null
            row["score"] = answer.score
        if not inserted(self._connection, golden_answers, row):
            task_id = answer.submission.task_id
            raise AlreadySubmitted(f"task {task_id} has its answer.", hint="Lease the next task.", task=task_id)

    def said(self, task_id: str) -> list[Submission]:
        rows = self._connection.execute(select(golden_answers).where(golden_answers.c.task_id == task_id))
        return [Submission(**{name: row._mapping[name] for name in _SUBMISSION}) for row in rows]

    def scored(self, project_id: str, reviewer: str, *, limit: int) -> list[Scored]:
        given = {"project": project_id, "reviewer": reviewer, "most": limit}
        return [Scored(*row) for row in self._connection.execute(_SCORED, given)]

    def count_since(self, project_id: str, reviewer: str, moment: datetime) -> int:
        counted = select(func.count()).where(
            golden_answers.c.project_id == project_id,
            golden_answers.c.reviewer == reviewer,
            golden_answers.c.created_at >= moment,
        )
        return int(self._connection.scalars(counted).one())


def _is_item(project_id: str, item_digest: str) -> ColumnElement[bool]:
    return and_(golden_items.c.project_id == project_id, golden_items.c.item_digest == item_digest)
