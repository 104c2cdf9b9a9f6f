"""Ground truth that is probably wrong."""

from typing import Annotated

from pydantic import Field

from loop.domain.item import Split
from serving.api.schemas.predictions import DetectionOut
from serving.api.schemas.shapes import ShapeIO
from serving.api.schemas.wire import In, Out, Unit
from training.label_errors import Flaw


class DoubtOut(Out):
    score: Unit = Field(description="0: certainly wrong")
    flaw: Flaw
    shape: ShapeIO | None = Field(description="of the truth; null where one is missing")
    detection: DetectionOut | None = Field(description="that says otherwise; null where nothing was found")


class DoubtfulItemOut(Out):
    item_digest: str
    score: Unit = Field(description="of all its truth; 0: certainly wrong somewhere")
    truth_version: int
    split: Split | None
    model_id: str = Field(description="that was not trained on this truth")
    prediction_id: str
    doubts: list[DoubtOut] = Field(description="the worst first")


class LabelErrorsOut(Out):
    total: int = Field(description="items with truth")
    compared: int = Field(description="items")
    unseen: int = Field(description="items with truth that no model has predicted without having learned it")
    more: bool = Field(description="`most` left some out; those that were looked at stand for all")
    items: list[DoubtfulItemOut] = Field(description="the most doubtful first")


class AskAgainIn(In):
    items: list[Annotated[str, Field(max_length=200)]] = Field(min_length=1, max_length=1000)
