"""The feed of predictions that people have settled: the part of the history (`events`) that says so."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import JSON, Connection, Row, func, or_, select, type_coerce

from loop.domain.announcements import SETTLING
from loop.domain.review.feed import Review, ReviewsAfter
from loop.store.schema import events, ground_truths
from loop.store.statements import in_parts

_BODY = type_coerce(events.c.body, JSON)
_SETTLES = _BODY["settles"].as_boolean()
_SETTLED = (
    events.c.kind.in_(SETTLING),
    _BODY["prediction_id"].as_string().is_not(None),
    or_(_SETTLES.is_(None), _SETTLES),
)


class SqlReviews:
    """Implements `loop.domain.ports.Reviews`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def after(self, project_id: str, cursor: int, limit: int) -> ReviewsAfter:
        # Read first: what is committed in between is behind it, and so comes with the next question.
        head = self._connection.scalars(
            select(func.max(events.c.sequence)).where(events.c.project_id == project_id)
        ).one_or_none()
        rows = self._connection.execute(
            select(events)
            .where(
                events.c.project_id == project_id,
                events.c.sequence > cursor,
                events.c.sequence <= (head or 0),
                *_SETTLED,
            )
            .order_by(events.c.sequence)
            .limit(limit)
        ).all()
        versions = self._versions(project_id, rows)
        reviews = tuple(_review(row, versions) for row in rows)
        return ReviewsAfter(reviews, reviews[-1].cursor if len(rows) == limit else max(head or 0, cursor))

    def _versions(self, project_id: str, rows: Sequence[Row[Any]]) -> Mapping[tuple[str, str], int]:
        """By item and submission: the first version of the truth that was made of it."""
        found: dict[tuple[str, str], int] = {}
        of = ground_truths.c
        for part in in_parts(sorted({row.body["item_digest"] for row in rows})):
            made = self._connection.execute(
                select(of.item_digest, of.version, of.submission_ids)
                .where(of.project_id == project_id, of.item_digest.in_(part))
                .order_by(of.version)
            )
            for digest, version, submission_ids in made:
                for submission_id in submission_ids:
                    found.setdefault((digest, submission_id), version)
        return found


def _review(row: Row[Any], versions: Mapping[tuple[str, str], int]) -> Review:
    body = row.body
    return Review(
        cursor=row.sequence,
        prediction_id=body["prediction_id"],
        item_digest=body["item_digest"],
        corrections=body["corrections"],
        truth_version=versions.get((body["item_digest"], body["submission_id"])),
        settled_at=row.at,
    )
