"""Items and their truths."""

from datetime import datetime

from pydantic import Field

from loop.domain.item import Split
from serving.api.schemas.predictions import PredictionOut
from serving.api.schemas.quality import ItemAgreementOut
from serving.api.schemas.review import SubmissionOut
from serving.api.schemas.shapes import ShapeIO, TruthOut
from serving.api.schemas.wire import Out


class ItemOut(Out):
    digest: str
    media_type: str
    width: int
    height: int
    source: str
    group: str
    split: Split | None
    meta: dict[str, str]
    created_at: datetime | None = Field(description="null for reviewers")
    image_url: str


class SubmissionDetailOut(SubmissionOut):
    reviewer: str = Field(description="token id")
    epoch: int
    round: int = Field(description="how often the work had been opened anew")
    shapes: list[ShapeIO]
    note: str
    active_seconds: float | None = Field(description="of seconds, as the reviewer's tool measured them")
    proposal_shown: bool | None = Field(description="where the lot decided whether the prediction was; else null")
    settles: bool = Field(description="it brought the item its truth")


class ItemDetailOut(ItemOut):
    truth: TruthOut | None
    agreement: ItemAgreementOut | None = Field(description="of those who answered it together; null for reviewers")
    prediction: PredictionOut | None = Field(description="the newest")
    submissions: list[SubmissionDetailOut] = Field(
        description="all that people said of it, oldest first; empty for reviewers, whose answers are to be their own"
    )


class NeighbourOut(Out):
    item_digest: str
    prediction_id: str
    similarity: float = Field(description="cosine, in [-1, 1]")


class NeighboursOut(Out):
    model_id: str
    neighbours: list[NeighbourOut]
