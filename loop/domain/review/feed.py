"""What is told of predictions that people have settled, in the order in which that was committed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A prediction that people have settled. cursor: its place in the order of the commits. corrections: errors by
    type. truth_version: of the item's ground truth that was made of this answer; None where none was."""

    cursor: int
    prediction_id: str
    item_digest: str
    corrections: Mapping[str, int]
    truth_version: int | None
    settled_at: datetime

    @property
    def failed(self) -> bool:
        return any(self.corrections.values())


@dataclass(frozen=True, slots=True)
class ReviewsAfter:
    """Oldest first. next: behind all that was looked at, so that whoever goes on from there misses nothing."""

    reviews: tuple[Review, ...]
    next: int
