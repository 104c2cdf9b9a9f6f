"""Shapes that people drew, and the truth made of them."""

from datetime import datetime
from typing import Literal

from pydantic import ConfigDict

from serving.api.schemas.wire import Box, In, Out


class ShapeIO(In):
    model_config = ConfigDict(extra="forbid", from_attributes=True)
    type: Literal["box"] = "box"
    label: str
    box: Box


class TruthOut(Out):
    version: int
    shapes: list[ShapeIO]
    origin: str
    submission_ids: list[str]
    created_at: datetime
