"""What asks for a cycle by itself."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from loop.domain.cycle import CycleState
from serving.api.schemas.wire import In, Out

Count = Annotated[int, Field(ge=1, le=10**9)]
Hours = Annotated[float, Field(ge=0, le=10_000)]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
# In the lists are names of triggers, or more of these.
When = dict[Literal["any", "all"], list[JsonValue]]


class ScheduleOut(Out):
    at: str = Field(description="HH:MM")
    days: list[str] = Field(description="mon to sun; none: every day")
    zone: str = Field(description="whose clock, a name of the IANA database")


class ScheduleIn(In):
    at: Annotated[str, Field(description="HH:MM", pattern=r"^([01]\d|2[0-3]):[0-5]\d$", examples=["02:30"])]
    days: list[Day] = Field(default_factory=list, max_length=7, description="none: every day")
    zone: Annotated[str, Field(max_length=64, description="a name of the IANA database")] = "UTC"


class TriggerRulesOut(Out):
    reviewed: int | None = Field(description="items reviewed since the last cycle")
    corrected: int | None = Field(description="items corrected since the last cycle")
    failure_rate: float | None = Field(description="of production, exceeded by the lower end of its interval")
    drift: bool = Field(description="while the drift alarm is on")
    every_hours: float | None = Field(description="after the last cycle ended")
    schedule: ScheduleOut | None = Field(description="times at which the project is looked at once")
    when: When | None = Field(description="which of them have to hold together; null: any of those that are set")
    least_new: int = Field(description="newly reviewed items that a cycle needs, whatever asks for it")
    quiet_hours: float = Field(description="after a cycle ended, in which nothing asks for another")
    failed_hours: float = Field(description="the same after one that failed")


class TriggersIn(In):
    """What is not named stays; null takes a trigger away."""

    reviewed: Count | None = None
    corrected: Count | None = None
    failure_rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    drift: bool = False
    every_hours: Annotated[float, Field(gt=0, le=10_000)] | None = None
    schedule: ScheduleIn | None = None
    when: Annotated[
        When | None,
        Field(
            description="either any or all, with names of triggers or more of these; null: any of those that are set",
            examples=[{"any": [{"all": ["corrected", "failure_rate"]}, "drift"]}],
        ),
    ] = None
    least_new: Count = 20
    quiet_hours: Hours = 1.0
    failed_hours: Hours = 24.0
    version: Annotated[
        str | None,
        Field(max_length=64, description="of the rules that were looked at: refused where others have changed them"),
    ] = None


class SituationOut(Out):
    running: str | None = Field(description="the cycle that is under way")
    ended_at: datetime | None = Field(description="of the last cycle")
    ended_as: CycleState | None
    reviewed: int
    corrected: int
    failure_rate: float | None = Field(description="the lower end; null where it is not known or not looked at")
    drift: bool


class ConditionOut(Out):
    name: str
    holds: bool
    said: str = Field(description="what is and what was asked for, in words")


class TriggersOut(Out):
    rules: TriggerRulesOut
    version: str = Field(description="another where anything else is set")
    situation: SituationOut
    conditions: list[ConditionOut] = Field(description="each trigger that is set")
    reasons: list[str] = Field(description="why a cycle would be asked for now")
    waiting: str = Field(description="why none is")
    next_times: list[datetime] = Field(description="of the schedule, the first first; none without one")
