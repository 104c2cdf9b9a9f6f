"""What all shapes have in common.

Boxes are absolute pixels `xyxy`; times are RFC 3339 UTC; scores, risks and rates lie in [0, 1].
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Unit = Annotated[float, Field(ge=0.0, le=1.0)]


Pixels = Annotated[float, Field(allow_inf_nan=False)]


Box = Annotated[list[Pixels], Field(min_length=4, max_length=4, description="x1, y1, x2, y2 in absolute pixels")]


class In(BaseModel):
    """A request body: an unknown field is an error, so that a typo is never silently ignored."""

    model_config = ConfigDict(extra="forbid")


class Out(BaseModel):
    model_config = ConfigDict(from_attributes=True)
