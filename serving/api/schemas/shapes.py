"""Shapes that people drew, the truth made of them, and what the recipe's rules find wrong with them."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import (
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    StringConstraints,
    model_serializer,
    model_validator,
)

from loop.domain.geometry import bounds_of
from loop.domain.recipes.rules import Severity
from loop.domain.truth import LONGEST_TEXT, MOST_ATTRIBUTES, MOST_LINKS, MOST_POINTS, Geometry, Shape, shape_from_json
from serving.api.schemas.wire import In, Out, Pixels

# What a bounding box may differ from that of the points, in pixels: callers may round.
_SAME_BOX = 1.0

# Fields that say something where they are 0 or false.
_SAY = ("frame", "keyframe")

Point = Annotated[list[Pixels], Field(min_length=2, max_length=2, description="x, y in absolute pixels")]
Text = Annotated[StrictStr, Field(max_length=LONGEST_TEXT)]
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{0,64}$")]
Number = Annotated[StrictFloat | StrictInt, Field(allow_inf_nan=False)]
Value = StrictBool | Number | Text | Annotated[list[Text], Field(max_length=MOST_ATTRIBUTES)]


class LinkIO(In):
    model_config = ConfigDict(extra="forbid", from_attributes=True)
    type: Text
    to: Id = Field(description="the id of another shape of the same answer")


class ShapeIO(In):
    """A box needs label and box, everything else type, label and points. What is not there is left out of answers."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)
    type: Geometry = Geometry.BOX
    label: str
    box: list[Pixels] = Field(
        default=[],
        max_length=4,
        description="x1, y1, x2, y2 in absolute pixels; of other geometries the box around their points",
    )
    points: list[Point] | None = Field(
        default=None, max_length=MOST_POINTS, description="of a polygon without repeating the first"
    )
    id: Id | None = Field(default=None, description="unique within the answer; needed where a link leads here")
    attributes: dict[Text, Value] | None = Field(default=None, max_length=MOST_ATTRIBUTES)
    links: list[LinkIO] | None = Field(default=None, max_length=MOST_LINKS)
    group: Id | None = Field(default=None, description="shapes of one image that belong together")
    track: Id | None = Field(default=None, description="shapes of one object in several images")
    frame: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = Field(
        default=None, description="index in the clip; of shapes in answers to tasks of clips"
    )
    keyframe: bool | None = Field(
        default=None, description="false: between two that were drawn, and made anew on submit; left out: true"
    )
    outside: bool | None = Field(
        default=None, description="from this key frame to the next of its track the object is not to be seen"
    )

    @model_validator(mode="after")
    def _with_box(self) -> Self:
        if not self.points:
            if len(self.box) != 4 or self.type is not Geometry.BOX:
                raise ValueError("a shape has a box of four numbers, or another type and points")
            return self
        if self.type is Geometry.BOX:
            raise ValueError("a box has no points; name the type of what they draw")
        around = list(bounds_of([(x, y) for x, y in self.points]))
        if self.box and not (len(self.box) == 4 and all(map(_alike, self.box, around))):
            raise ValueError(f"the box is not that around the points, {around}; leave it out")
        self.box = around
        return self

    @model_serializer(mode="wrap")
    def _brief(self, serialized: SerializerFunctionWrapHandler):  # type: ignore[no-untyped-def]
        # Without a return type the OpenAPI document describes the model itself.
        fields: dict[str, Any] = serialized(self)
        return {name: value for name, value in fields.items() if value or (name in _SAY and value is not None)}

    def shape(self) -> Shape:
        return shape_from_json(self.model_dump())


def _alike(a: float, b: float) -> bool:
    return abs(a - b) <= _SAME_BOX


class IssueOut(Out):
    rule: str = Field(description="id of the rule, or the place in the recipe that asks for it")
    severity: Severity
    message: str
    shapes: list[str] = Field(description="ids of the shapes concerned; #3 for the fourth where it has none")
    frame: int | None = Field(default=None, description="of a clip, the frame that it is about; else left out")

    @model_serializer(mode="wrap")
    def _as_refused(self, serialized: SerializerFunctionWrapHandler):  # type: ignore[no-untyped-def]
        # As in the problem that refuses an answer; without a return type, for the reason above.
        fields: dict[str, Any] = serialized(self)
        return {name: value for name, value in fields.items() if name != "frame" or value is not None}


class TruthOut(Out):
    version: int
    shapes: list[ShapeIO]
    origin: str
    submission_ids: list[str]
    created_at: datetime
