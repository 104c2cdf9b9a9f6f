"""Detections alike, and near-duplicates."""

from pydantic import Field

from serving.api.schemas.predictions import PredictedDetectionOut
from serving.api.schemas.wire import Out


class ObjectNeighbourOut(Out):
    item_digest: str
    prediction_id: str
    number: int = Field(description="of the detection in that prediction, from 0")
    detection: PredictedDetectionOut
    similarity: float = Field(description="cosine, in [-1, 1]")


class ObjectNeighboursOut(Out):
    model_id: str
    neighbours: list[ObjectNeighbourOut]


class ClusterOut(Out):
    size: int
    items: list[str] = Field(description="digests, at most as many as were asked for")


class DuplicatesOut(Out):
    model_id: str
    threshold: float
    items: int = Field(description="all that the model has seen")
    clusters: int = Field(description="of two near-duplicates or more")
    spare: int = Field(description="items that could go if one of each cluster stayed")
    page: list[ClusterOut] = Field(description="the largest first")
    next: str | None = Field(description="pass as `after` for the next page")
