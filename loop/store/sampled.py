"""Predictions that came to people with a known probability, with what they said; and all that these stand for."""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Text, and_, case, exists, func, literal, or_, select

from loop.domain.production.sampled import Answering, Crowd, Drawn, Predicted, Sampled, is_promised
from loop.domain.review.qa import AnswerStanding
from loop.domain.review.tasks import TaskState
from loop.domain.stage import ROUTED, Stage
from loop.store.schema import (
    SAMPLED_PREDICTION,
    annotation_results,
    ground_truths,
    held_answers,
    predictions,
    submissions,
    tasks,
)
from loop.store.statements import in_parts

# Rows fetched at a time while a whole window is read.
_CHUNK = 1000
_READ = (
    "id", "project_id", "item_digest", "created_at", "source", "detections", "risk", "inclusion_probability",
    "audit_rate", "audit_drawn", "reasons",
)  # fmt: skip

_DRAWN = [predictions.c[name] for name in ("id", "created_at", "inclusion_probability", "audit_rate", "audit_drawn")]


class SqlSampledPredictions:
    """Implements `loop.domain.ports.SampledPredictions`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def newest(self, project_id: str, model_id: str, *, since: datetime, until: datetime, limit: int) -> list[Sampled]:
        settled_at = _settled_at().label("settled_at")
        chosen = (
            _between(
                _of(project_id, model_id, select(predictions, settled_at, _unanswered().label("waiting"))), since, until
            )
            .where(predictions.c.stage.in_(ROUTED))
            .order_by(predictions.c.created_at.desc(), predictions.c.id.desc())
            .limit(limit)
            .subquery()
        )
        truth = case((chosen.c.settled_at.is_not(None), _truth_of(chosen)), else_=None).label("truth")
        rows = self._connection.execute(select(chosen, truth).order_by(chosen.c.created_at.desc(), chosen.c.id.desc()))
        return [_sampled(row._mapping) for row in rows]

    def population(self, project_id: str, model_id: str, *, since: datetime, until: datetime) -> Iterator[Predicted]:
        wanted = _of(
            project_id,
            model_id,
            select(
                predictions.c.id,
                predictions.c.created_at,
                predictions.c.source,
                predictions.c.detections,
                predictions.c.signals,
                predictions.c.risk,
                predictions.c.inclusion_probability,
            ),
        ).where(predictions.c.created_at >= since, predictions.c.created_at < until)
        ordered = wanted.order_by(predictions.c.created_at, predictions.c.id)
        for row in self._connection.execute(ordered, execution_options={"yield_per": _CHUNK}):
            yield Predicted(
                prediction_id=row.id,
                created_at=row.created_at,
                source=row.source,
                labels=frozenset(detection.label for detection in row.detections),
                signals=row.signals,
                risk=row.risk,
                inclusion=row.inclusion_probability,
            )

    def drawn(
        self, project_id: str, model_id: str, *, since: datetime, until: datetime, audits: bool, limit: int
    ) -> list[Drawn]:
        statement = _between(_of(project_id, model_id, select(*_DRAWN)), since, until).where(SAMPLED_PREDICTION)
        if audits:
            statement = statement.where(predictions.c.audit_drawn)
        newest = statement.order_by(predictions.c.created_at.desc(), predictions.c.id.desc()).limit(limit)
        return [Drawn(*row) for row in self._connection.execute(newest)]

    def first_drawn(self, project_id: str, model_id: str, *, since: datetime, limit: int) -> list[Drawn]:
        oldest = (
            _of(project_id, model_id, select(*_DRAWN))
            .where(SAMPLED_PREDICTION, predictions.c.created_at >= since, _of_callers())
            .order_by(predictions.c.created_at, predictions.c.id)
            .limit(limit)
        )
        return [Drawn(*row) for row in self._connection.execute(oldest)]

    def named(self, project_id: str, prediction_ids: Sequence[str]) -> list[Sampled]:
        return [sampled for part in in_parts(prediction_ids) for sampled in self._named(project_id, part)]

    def _named(self, project_id: str, prediction_ids: Sequence[str]) -> list[Sampled]:
        wanted = [predictions.c[name] for name in _READ]
        chosen = (
            select(*wanted, _settled_at().label("settled_at"), _unanswered().label("waiting"))
            .where(predictions.c.project_id == project_id, predictions.c.id.in_(prediction_ids), SAMPLED_PREDICTION)
            .subquery()
        )
        truth = case((chosen.c.settled_at.is_not(None), _truth_of(chosen)), else_=None).label("truth")
        return [_sampled({"signals": {}, **row._mapping}) for row in self._connection.execute(select(chosen, truth))]

    def count(self, project_id: str, model_id: str, *, since: datetime, until: datetime, most: int) -> int:
        some = _between(_of(project_id, model_id, select(literal(1))), since, until).limit(most).subquery()
        return int(self._connection.scalars(select(func.count()).select_from(some)).one())

    def crowds(self, project_id: str, model_id: str, *, since: datetime, until: datetime) -> list[Crowd]:
        day, risk = self._utc_day().label("day"), predictions.c.risk
        wanted = (
            day,
            predictions.c.source,
            func.count(),
            func.sum(risk),
            func.sum(risk * risk),
            func.min(predictions.c.audit_rate),
        )
        of_all = _between(_of(project_id, model_id, select(*wanted)), since, until).where(predictions.c.audit_rate > 0)
        rows = self._connection.execute(of_all.group_by(day, predictions.c.source))
        found = [Crowd(date.fromisoformat(str(of_day)), *more) for of_day, *more in rows]
        return sorted(found, key=lambda crowd: (crowd.day, crowd.source))

    def drawable(self, project_id: str, model_id: str, *, since: datetime, limit: int) -> list[float]:
        wanted = _of(project_id, model_id, select(predictions.c.risk)).where(
            predictions.c.created_at >= since,
            predictions.c.inclusion_probability > 0.0,
            predictions.c.inclusion_probability < 1.0,
        )
        newest = wanted.order_by(predictions.c.created_at.desc(), predictions.c.id.desc()).limit(limit)
        return list(self._connection.scalars(newest))

    def reach(self, project_id: str, model_id: str, *, since: datetime, until: datetime) -> tuple[int, float]:
        wanted: list[ColumnElement[Any]] = [func.count(), func.min(predictions.c.inclusion_probability)]
        of_callers = _between(_of(project_id, model_id, select(*wanted)), since, until).where(_of_callers())
        count, least = self._connection.execute(of_callers).one()
        return int(count), 1.0 if least is None else float(least)

    def _utc_day(self) -> ColumnElement[Any]:
        """Of created_at; a date, or its ISO form."""
        if self._connection.dialect.name == "postgresql":
            return func.date(func.timezone("UTC", predictions.c.created_at))
        return func.date(predictions.c.created_at, type_=Text)


def _between(statement: Select[Any], since: datetime, until: datetime) -> Select[Any]:
    return statement.where(predictions.c.created_at >= since, predictions.c.created_at < until)


def _of(project_id: str, model_id: str, statement: Select[Any]) -> Select[Any]:
    return statement.where(predictions.c.project_id == project_id, predictions.c.model_id == model_id)


def _of_callers() -> ColumnElement[bool]:
    return ~exists().where(annotation_results.c.prediction_id == predictions.c.id)


def _of_the_prediction() -> ColumnElement[bool]:
    """Of tasks: a golden item's says nothing of the prediction that it shows."""
    return and_(tasks.c.prediction_id == predictions.c.id, tasks.c.stage != Stage.GOLDEN)


def _settled_at() -> ColumnElement[Any]:
    """When the answer of the present round became the truth; null before."""
    return (
        select(func.max(submissions.c.created_at))
        .join(tasks, tasks.c.id == submissions.c.task_id)
        .where(_of_the_prediction(), submissions.c.settles, submissions.c.round == tasks.c.round)
        .correlate(predictions)
        .scalar_subquery()
    )


def _unanswered() -> ColumnElement[bool]:
    """Somebody is to work on it still, or an answer waits to become the truth."""
    to_do = exists().where(_of_the_prediction(), tasks.c.state.in_((TaskState.OPEN, TaskState.LEASED)))
    held = (
        exists()
        .where(_of_the_prediction(), held_answers.c.work_id == tasks.c.work_id)
        .where(held_answers.c.standing != AnswerStanding.SETTLED)
    )
    return or_(to_do.correlate(predictions), held.correlate(predictions), literal(False))


def _truth_of(chosen: Any) -> ColumnElement[Any]:
    return (
        select(ground_truths.c.shapes)
        .where(ground_truths.c.project_id == chosen.c.project_id, ground_truths.c.item_digest == chosen.c.item_digest)
        .order_by(ground_truths.c.version.desc())
        .limit(1)
        .correlate(chosen)
        .scalar_subquery()
    )


def _sampled(row: Any) -> Sampled:
    settled, waiting = row["settled_at"] is not None, bool(row["waiting"])
    return Sampled(
        prediction_id=row["id"],
        item_digest=row["item_digest"],
        created_at=row["created_at"],
        source=row["source"],
        detections=row["detections"],
        signals=row["signals"],
        risk=row["risk"],
        inclusion=row["inclusion_probability"],
        audit_rate=row["audit_rate"],
        audit_drawn=row["audit_drawn"],
        answering=Answering.SETTLED if settled else Answering.WAITING if waiting else Answering.CLOSED,
        truth=row["truth"],
        settled_at=row["settled_at"],
        promised=is_promised(row["reasons"]),
    )
