"""Predictions, and the feed that the embedding index follows."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Exists,
    Row,
    Table,
    and_,
    bindparam,
    exists,
    func,
    null,
    or_,
    select,
    tuple_,
)
from sqlalchemy.exc import IntegrityError

from loop.domain.errors import Conflict
from loop.domain.item import Item
from loop.domain.ports import Candidate, Said, Served, StoredEmbedding
from loop.domain.prediction import Detection, Prediction
from loop.domain.routing import Action, Decision
from loop.domain.selection import Part
from loop.domain.stage import Stage
from loop.store.appends import Appends
from loop.store.item_facts import Change, ItemChanges
from loop.store.ready import Ready
from loop.store.schema import (
    annotation_results,
    ground_truths,
    items,
    object_embeddings,
    policies,
    prediction_feed,
    predictions,
    tasks,
)
from loop.store.statements import (
    columns,
    feed_after,
    in_parts,
    insert_all,
    inserted,
    newest_first,
    not_found,
    not_looked_up,
    one,
    sorted_after,
)

_DETECTIONS = Ready(
    select(predictions.c.detections).where(
        predictions.c.project_id == bindparam("project"), predictions.c.id == bindparam("id")
    )
)
_ITEM = tuple(Item.__dataclass_fields__)
_DECISION = tuple(Decision.__dataclass_fields__)


_WITH_ITEM = Ready(
    select(predictions.c.detections, *(items.c[name] for name in _ITEM))
    .join(items, and_(items.c.project_id == predictions.c.project_id, items.c.digest == predictions.c.item_digest))
    .where(predictions.c.project_id == bindparam("project"), predictions.c.id == bindparam("id"))
)


class SqlPredictions:
    """Implements `loop.domain.ports.Predictions`."""

    def __init__(self, connection: Connection, appends: Appends, changes: ItemChanges) -> None:
        self._connection = connection
        self._appends = appends
        self._changes = changes
        self._said: dict[tuple[str, str], tuple[Detection, ...]] = {}  # what was read along; it never changes

    def add(self, prediction: Prediction) -> None:
        """Raises Conflict where the id is taken."""
        row = columns(prediction)
        row |= columns(row.pop("decision"))
        if not inserted(self._connection, predictions, row):
            raise Conflict(
                f"there is a prediction {prediction.id} already.", hint="Send it again.", prediction=prediction.id
            )
        self._append(prediction)

    def add_all(self, given: Sequence[Prediction]) -> None:
        """Raises Conflict where an id is taken; the transaction is then spoilt."""
        if not given:
            return
        rows = [(row := columns(prediction)) | columns(row.pop("decision")) for prediction in given]
        try:
            insert_all(self._connection, predictions, rows)
        except IntegrityError as error:
            raise Conflict("one of these predictions is there already, or refers to what is not.") from error
        for prediction in given:
            self._append(prediction)

    def _append(self, prediction: Prediction) -> None:
        named = {"prediction_id": prediction.id, "project_id": prediction.project_id, "model_id": prediction.model_id}
        self._appends.add(prediction_feed, named)
        self._changes.note(prediction.project_id, prediction.item_digest, Change.PREDICTED)

    def get(self, project_id: str, prediction_id: str) -> Prediction:
        """Raises NotFound."""
        return _prediction(one(self._connection, predictions, "prediction", project_id=project_id, id=prediction_id))

    def item(self, project_id: str, prediction_id: str) -> Item:
        found = _WITH_ITEM.first(self._connection, {"project": project_id, "id": prediction_id})
        if found is None:
            raise not_found("prediction", project_id=project_id, id=prediction_id)
        said, *item = found
        self._said[project_id, prediction_id] = said
        return Item(**dict(zip(_ITEM, item, strict=True)))

    def detections(self, project_id: str, prediction_id: str) -> tuple[Detection, ...]:
        if (known := self._said.get((project_id, prediction_id))) is not None:
            return known
        found = _DETECTIONS.first(self._connection, {"project": project_id, "id": prediction_id})
        if found is None:
            raise not_found("prediction", project_id=project_id, id=prediction_id)
        detections: tuple[Detection, ...] = found[0]
        return detections

    def page(self, project_id: str, *, after: str | None, limit: int) -> list[Prediction]:
        rows = newest_first(
            self._connection,
            predictions,
            key=predictions.c.id,
            project_id=project_id,
            after=after,
            limit=limit,
        )
        return [_prediction(row) for row in rows]

    def latest_of(self, project_id: str, item_digest: str) -> Prediction | None:
        row = self._connection.execute(
            select(predictions)
            .where(predictions.c.project_id == project_id, predictions.c.item_digest == item_digest)
            .order_by(predictions.c.created_at.desc(), predictions.c.id.desc())
            .limit(1)
        ).first()
        return None if row is None else _prediction(row)

    def latest_detections(self, project_id: str, digests: Sequence[str]) -> Mapping[str, tuple[Detection, ...]]:
        return self._latest(predictions.c.detections, project_id, digests)

    def latest_risks(self, project_id: str, digests: Sequence[str]) -> Mapping[str, float]:
        return self._latest(predictions.c.risk, project_id, digests)

    def _latest(self, part_of: ColumnElement[Any], project_id: str, digests: Sequence[str]) -> dict[str, Any]:
        """Of the newest prediction of each item this column."""
        newest = func.row_number().over(
            partition_by=predictions.c.item_digest, order_by=(predictions.c.created_at.desc(), predictions.c.id.desc())
        )
        found: dict[str, Any] = {}
        for part in in_parts(digests):
            ranked = (
                select(predictions.c.id, newest.label("place"))
                .where(predictions.c.project_id == project_id, predictions.c.item_digest.in_(part))
                .subquery()
            )
            wanted = (
                select(predictions.c.item_digest, part_of)
                .join(ranked, ranked.c.id == predictions.c.id)
                .where(ranked.c.place == 1)
            )
            found.update(tuple(row) for row in self._connection.execute(wanted))
        return found

    def said_of(self, project_id: str, digests: Sequence[str]) -> Mapping[str, list[Said]]:
        wanted = (
            predictions.c.item_digest, predictions.c.id, predictions.c.model_id, predictions.c.created_at,
            predictions.c.detections,
        )  # fmt: skip
        found: dict[str, list[Said]] = {}
        for part in in_parts(digests):
            rows = self._connection.execute(
                select(*wanted)
                .where(predictions.c.project_id == project_id, predictions.c.item_digest.in_(part))
                .order_by(*sorted_after(self._connection, predictions.c.created_at, predictions.c.id, descending=True))
            )
            for digest, *said in rows:
                found.setdefault(digest, []).append(Said(*said))
        return found

    def embeddings_after(self, project_id: str, model_id: str, sequence: int, limit: int) -> list[StoredEmbedding]:
        """See `feed_after`; start with 0."""
        wanted = predictions.c.item_digest, predictions.c.embedding
        rows = feed_after(
            self._connection,
            prediction_feed,
            *wanted,
            project_id=project_id,
            model_id=model_id,
            sequence=sequence,
            limit=limit,
        )
        return [StoredEmbedding(**row._mapping) for row in rows]

    def candidates(
        self, project_id: str, model_id: str, *, after: int, limit: int, parts: Collection[Part]
    ) -> list[Candidate]:
        later = predictions.alias()
        newest = ~exists().where(
            later.c.project_id == predictions.c.project_id,
            later.c.item_digest == predictions.c.item_digest,
            # Of one item there are few; of one model all.
            not_looked_up(later.c.model_id, sqlite=self._connection.dialect.name == "sqlite") == predictions.c.model_id,
            tuple_(later.c.created_at, later.c.id) > tuple_(predictions.c.created_at, predictions.c.id),
        )
        statement = (
            select(
                prediction_feed.c.sequence,
                predictions.c.id,
                items.c.digest,
                items.c.source,
                items.c.group,
                items.c.meta,
                predictions.c.embedding,
                predictions.c.risk,
                predictions.c.signals if Part.SIGNALS in parts else null(),
                predictions.c.detections if Part.DETECTIONS in parts else null(),
                or_(_of_the_item(ground_truths), _of_the_item(tasks).where(tasks.c.stage != Stage.GOLDEN)),
                predictions.c.created_at,
            )
            .join(predictions, predictions.c.id == prediction_feed.c.prediction_id)
            .join(
                items,
                and_(items.c.project_id == predictions.c.project_id, items.c.digest == predictions.c.item_digest),
            )
            .where(
                prediction_feed.c.project_id == project_id,
                prediction_feed.c.model_id == model_id,
                prediction_feed.c.sequence > after,
                newest,
            )
            .order_by(prediction_feed.c.sequence)
            .limit(limit)
        )
        if Part.OBJECTS in parts:
            of_the_prediction = object_embeddings.c.prediction_id == predictions.c.id
            statement = statement.add_columns(object_embeddings.c.features).outerjoin(
                object_embeddings, of_the_prediction
            )
        return [Candidate(*tuple(row)) for row in self._connection.execute(statement)]

    def count_served(self, project_id: str, model_id: str, *, after: int) -> int:
        counted = select(func.count()).where(*_of_callers(project_id, model_id, after))
        return int(self._connection.scalars(counted).one())

    def served(self, project_id: str, model_id: str, *, after: int, of: int, limit: int) -> list[Served]:
        chosen = select(prediction_feed.c.sequence, prediction_feed.c.prediction_id).where(
            *_of_callers(project_id, model_id, after)
        )
        if of > limit:  # numbering reads all of them, which the newest ones alone need not wait for
            place = (func.row_number().over(order_by=prediction_feed.c.sequence.desc()) - 1).label("place")
            numbered = chosen.add_columns(place).subquery()
            # Of each `of` places, `limit` have a remainder below `limit`, as even as whole numbers are.
            chosen = select(numbered.c.sequence, numbered.c.prediction_id).where(
                numbered.c.place < of, numbered.c.place * limit % of < limit
            )
        newest = chosen.order_by(chosen.selected_columns.sequence.desc()).limit(limit).subquery()
        rows = self._connection.execute(
            select(
                newest.c.sequence,
                predictions.c.item_digest,
                items.c.source,
                items.c.group,
                predictions.c.created_at,
                predictions.c.embedding,
                predictions.c.detections,
                policies.c.score_threshold,
            )
            .join(predictions, predictions.c.id == newest.c.prediction_id)
            .join(
                items,
                and_(items.c.project_id == predictions.c.project_id, items.c.digest == predictions.c.item_digest),
            )
            .join(
                policies,
                and_(
                    policies.c.project_id == predictions.c.project_id,
                    policies.c.version == predictions.c.policy_version,
                ),
            )
            .order_by(newest.c.sequence.desc())
        )
        return [Served(**row._mapping) for row in rows]

    def count_after(self, project_id: str, model_id: str, sequence: int) -> int:
        counted = select(func.count()).where(
            prediction_feed.c.project_id == project_id,
            prediction_feed.c.model_id == model_id,
            prediction_feed.c.sequence > sequence,
        )
        return self._connection.scalars(counted).one()

    def counts(self, project_id: str) -> Mapping[str, int]:
        row = self._connection.execute(
            select(
                func.count().label("predictions"),
                func.count().filter(predictions.c.action == Action.REVIEW).label("routed"),
                func.count().filter(predictions.c.audit_drawn).label("audits"),
            ).where(predictions.c.project_id == project_id)
        ).one()
        return dict(row._mapping)


def _of_callers(project_id: str, model_id: str, after: int) -> tuple[ColumnElement[bool], ...]:
    """Conditions on the feed: of this version, behind `after`, and not of a bulk annotation."""
    return (
        prediction_feed.c.project_id == project_id,
        prediction_feed.c.model_id == model_id,
        prediction_feed.c.sequence > after,
        ~exists().where(annotation_results.c.prediction_id == prediction_feed.c.prediction_id),
    )


def _of_the_item(table: Table) -> Exists:
    return exists().where(
        table.c.project_id == predictions.c.project_id, table.c.item_digest == predictions.c.item_digest
    )


def _prediction(row: Row[Any]) -> Prediction:
    record = dict(row._mapping)
    decision = Decision(**{name: record.pop(name) for name in _DECISION})
    return Prediction(decision=decision, **record)
