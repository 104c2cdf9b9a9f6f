"""Golden items, who was given which, and what they answered."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    and_,
    bindparam,
    exists,
    func,
    literal,
    literal_column,
    not_,
    select,
    update,
)

from loop.domain.errors import AlreadySubmitted
from loop.domain.quality.golden import GoldenAnswer, GoldenItem, GoldenSeat, KnownStanding, Scored, Tally
from loop.domain.quality.judging import Judgeable, JudgedCheck
from loop.domain.review.tasks import Submission
from loop.store.item_facts import Change, ItemChanges
from loop.store.ready import Ready
from loop.store.schema import (
    JUDGEABLE_ANSWER,
    golden_answers,
    golden_items,
    golden_seats,
    judging_standings,
    predictions,
    standings,
    submissions,
)
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
_STANDING, _JUDGING = (tuple(column.name for column in table.c) for table in (standings, judging_standings))
_TALLY = Ready(
    select(
        exists().where(golden_items.c.project_id == _PROJECT, _PRESENT).label("marked"),
        _GIVEN.scalar_subquery().label("given"),
        _GIVEN.where(not_(golden_seats.c.closed)).scalar_subquery().label("waiting"),
        *(standings.c[name] for name in _STANDING),
        *(judging_standings.c[name].label(f"judging_{name}") for name in _JUDGING),
    ).select_from(
        select(literal(1))
        .subquery()
        .outerjoin(standings, and_(standings.c.project_id == _PROJECT, standings.c.reviewer == _REVIEWER))
        .outerjoin(
            judging_standings,
            and_(judging_standings.c.project_id == _PROJECT, judging_standings.c.reviewer == _REVIEWER),
        )
    )
)
# Against the present trusted shapes of an item that is still golden.
_OF_PRESENT = and_(
    golden_items.c.project_id == golden_answers.c.project_id,
    golden_items.c.item_digest == golden_answers.c.item_digest,
    golden_items.c.version == golden_answers.c.version,
    _PRESENT,
)
_SCORED = (
    select(golden_answers.c.id, golden_answers.c.item_digest, golden_answers.c.created_at, golden_answers.c.score)
    .join(golden_items, _OF_PRESENT)
    .where(
        golden_answers.c.project_id == _PROJECT,
        golden_answers.c.reviewer == _REVIEWER,
        golden_answers.c.score.is_not(None),
    )
    .order_by(golden_answers.c.created_at.desc(), golden_answers.c.id.desc())
    .limit(bindparam("most"))
)


_SHOWN = golden_answers.alias("shown")
_JUDGED = (
    select(golden_answers.c.created_at, _SHOWN.c.sound, golden_answers.c.sound)
    .join(_SHOWN, and_(_SHOWN.c.id == golden_answers.c.judged_id, _SHOWN.c.version == golden_answers.c.version))
    .join(golden_items, _OF_PRESENT)
    .where(
        golden_answers.c.project_id == _PROJECT,
        golden_answers.c.reviewer == _REVIEWER,
        golden_answers.c.sound.is_not(None),
        _SHOWN.c.sound.is_not(None),
    )
    .order_by(golden_answers.c.created_at.desc(), golden_answers.c.id.desc())
    .limit(bindparam("most"))
)
_MOST_JUDGEABLE = 1000


# The person was not given the item since, and never had a say on it as ordinary work.
_NEW = and_(
    golden_items.c.project_id == _PROJECT,
    _PRESENT,
    ~exists().where(
        golden_seats.c.project_id == golden_items.c.project_id,
        golden_seats.c.item_digest == golden_items.c.item_digest,
        golden_seats.c.reviewer == _REVIEWER,
        golden_seats.c.given_at > bindparam("since", type_=golden_seats.c.given_at.type),
    ),
    ~exists().where(
        submissions.c.project_id == golden_items.c.project_id,
        submissions.c.item_digest == golden_items.c.item_digest,
        submissions.c.reviewer == _REVIEWER,
    ),
)


@cache
def _eligible(*, predicted: bool) -> Ready:
    wanted = select(golden_items.c.item_digest).where(_NEW)
    return Ready(wanted.where(_PREDICTED) if predicted else wanted)


@cache
def _judgeable(*, predicted: bool) -> Ready:
    wanted = (
        select(golden_answers.c.id, golden_answers.c.item_digest, golden_answers.c.sound)
        .join(golden_items, _OF_PRESENT)
        .where(golden_answers.c.project_id == _PROJECT, JUDGEABLE_ANSWER, golden_answers.c.reviewer != _REVIEWER)
        .where(_NEW)
        .order_by(golden_answers.c.created_at.desc(), golden_answers.c.id.desc())
        .limit(literal_column(str(_MOST_JUDGEABLE)))
    )
    return Ready(wanted.where(_PREDICTED) if predicted else wanted)


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
        known, judging = found[: len(_STANDING)], found[len(_STANDING) :]
        return Tally(marked, given, waiting, _known(_STANDING, known), _known(_JUDGING, judging, judging=True))

    def eligible(self, project_id: str, reviewer: str, *, given_before: datetime, predicted: bool) -> list[str]:
        given = {"project": project_id, "reviewer": reviewer, "since": given_before}
        return [digest for (digest,) in _eligible(predicted=predicted).rows(self._connection, given)]

    def judgeable(self, project_id: str, reviewer: str, *, given_before: datetime, predicted: bool) -> list[Judgeable]:
        given = {"project": project_id, "reviewer": reviewer, "since": given_before}
        return [Judgeable(*row) for row in _judgeable(predicted=predicted).rows(self._connection, given)]

    def answered(self, answer_id: str) -> GoldenAnswer:
        row = one(self._connection, golden_answers, "answer to a golden item", id=answer_id)._mapping
        return GoldenAnswer(
            submission=_submission(row),
            version=row["version"],
            score=row["score"],
            sound=row["sound"],
            judged_id=row["judged_id"],
        )

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
        own = {"version": answer.version, "sound": answer.sound, "judged_id": answer.judged_id}
        row = columns(answer.submission) | own
        if answer.score is not None:  # else there is no document, rather than one that says null
            row["score"] = answer.score
        if not inserted(self._connection, golden_answers, row):
            task_id = answer.submission.task_id
            raise AlreadySubmitted(f"task {task_id} has its answer.", hint="Lease the next task.", task=task_id)

    def said(self, task_id: str) -> list[Submission]:
        rows = self._connection.execute(select(golden_answers).where(golden_answers.c.task_id == task_id))
        return [_submission(row._mapping) for row in rows]

    def scored(self, project_id: str, reviewer: str, *, limit: int) -> list[Scored]:
        given = {"project": project_id, "reviewer": reviewer, "most": limit}
        return [Scored(*row) for row in self._connection.execute(_SCORED, given)]

    def judged(self, project_id: str, reviewer: str, *, limit: int) -> list[JudgedCheck]:
        given = {"project": project_id, "reviewer": reviewer, "most": limit}
        return [JudgedCheck(at, sound, right) for at, sound, right in self._connection.execute(_JUDGED, given)]

    def count_since(self, project_id: str, reviewer: str, moment: datetime) -> int:
        counted = select(func.count()).where(
            golden_answers.c.project_id == project_id,
            golden_answers.c.reviewer == reviewer,
            golden_answers.c.created_at >= moment,
        )
        return int(self._connection.scalars(counted).one())


def _is_item(project_id: str, item_digest: str) -> ColumnElement[bool]:
    return and_(golden_items.c.project_id == project_id, golden_items.c.item_digest == item_digest)


def _known(names: Sequence[str], values: Sequence[Any], *, judging: bool = False) -> KnownStanding | None:
    found = dict(zip(names, values, strict=True))
    return KnownStanding(**found, judging=judging) if found["reviewer"] else None


def _submission(row: Mapping[Any, Any]) -> Submission:
    return Submission(**{name: row[name] for name in _SUBMISSION})
