"""Predictions that people have settled."""

from datetime import datetime

from pydantic import Field

from serving.api.schemas.wire import Out


class ReviewOut(Out):
    cursor: int = Field(description="pass as `after` to go on behind this one")
    prediction_id: str
    item_digest: str
    failed: bool = Field(description="people corrected it")
    corrections: dict[str, int] = Field(description="errors by type")
    truth_version: int | None = Field(description="of the item's ground truth, made of this answer")
    settled_at: datetime


class ReviewPage(Out):
    reviews: list[ReviewOut]
    next: int = Field(description="pass as `after` for what is settled later")
