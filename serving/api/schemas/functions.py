"""Custom functions: which a project uses, what a button does, and what ran."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StrictBool

from loop.domain.functions.calls import CallState
from loop.domain.policy.function_uses import Original, Shapes
from serving.api.schemas.events import EventOut
from serving.api.schemas.shapes import Id, ShapeIO
from serving.api.schemas.wire import In, Out

Name = Annotated[str, Field(min_length=1, max_length=100)]


class ButtonIO(In):
    model_config = ConfigDict(extra="forbid", from_attributes=True)

    label: str = Field(min_length=1, max_length=100)
    key: str = Field(default="", max_length=1, description="of the keyboard; none where it is empty")
    description: str = Field(default="", max_length=1000)
    needs_selection: StrictBool = Field(default=False, description="it works on selected shapes")


class FunctionUseIO(In):
    """A function of an installed package, as a project uses it. See docs/functions.md."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)

    name: Name
    on: list[Name] = Field(default=[], max_length=20, description="item.created, task.completed, model.promoted")
    button: ButtonIO | None = None
    options: dict[str, Any] = Field(default={}, description="what the function gets")
    shapes: Shapes = Field(
        default=Shapes.IGNORE, description="truth: shapes given on task.completed are the next version of the truth"
    )
    original: Original = Field(default=Original.KEEP, description="drop: an image of which another was made is removed")


class FunctionOut(Out):
    name: str
    label: str
    key: str
    description: str
    needs_selection: bool


class FunctionsOut(Out):
    functions: list[FunctionOut] = Field(description="those with a button")


class InstalledFunctionOut(Out):
    name: str
    package: str = Field(description="name and version")


class InstalledFunctionsOut(Out):
    functions: list[InstalledFunctionOut]


class ActionIn(In):
    epoch: int
    shapes: list[ShapeIO] = Field(max_length=5000)
    selected: list[Id] = Field(default=[], max_length=5000, description="ids of shapes")


class ActionOut(Out):
    shapes: list[ShapeIO] = Field(description="to go on with, in place of those that were sent")
    messages: list[str]


class CallIn(In):
    item_digest: str = Field(max_length=64)


class CallOut(Out):
    id: str
    function: str
    trigger: str
    item_digest: str | None
    state: CallState
    attempts: int
    error: str = Field(description="of the last attempt")
    messages: list[str]
    created_at: datetime
    due_at: datetime = Field(description="of the next attempt")
    finished_at: datetime | None


class FunctionHistoryOut(Out):
    waiting: int = Field(description="calls on events that are not done")
    runs: list[EventOut] = Field(description="newest first, buttons too")
