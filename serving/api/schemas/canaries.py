"""How canaries are judged by what people answer, as bodies."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from loop.domain.rollouts.canary import CanaryVerdict, OnPass, OnUndecided
from serving.api.schemas.wire import In, Out, Unit

_Hours = Annotated[float, Field(gt=0, le=8760)]


class CanaryIn(In):
    """Rules of this canary; what is left out comes from the section `canary` of the settings."""

    margin: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        default=None, description="how much more often than the champion it may fail and still pass"
    )
    confidence: Annotated[float, Field(ge=0.5, lt=1)] | None = None
    max_hours: _Hours | None = Field(default=None, description="after which it ends undecided")
    max_answers: Annotated[int, Field(ge=1, le=20_000)] | None = Field(
        default=None, description="of the canary, after which it ends undecided"
    )
    patience_hours: _Hours | None = Field(default=None, description="how long an answer is waited for")
    on_pass: OnPass | None = Field(default=None, description="promote: in the name of who starts it")
    on_undecided: OnUndecided | None = None


class CanaryRulesOut(Out):
    margin: float
    confidence: float
    max_hours: float
    max_answers: int
    patience_hours: float
    on_pass: OnPass
    on_undecided: OnUndecided
    expected: Unit = Field(description="failure rate that was expected before it began")


class ArmOut(Out):
    answers: int
    failed: int = Field(description="of them, that people had to correct")
    rate: Unit | None = Field(description="of failures, weighted by the inverse of the inclusion probabilities")


class CanaryStandingOut(Out):
    """What a look found. The two bounds of the difference hold at all looks together."""

    verdict: CanaryVerdict
    looked_at: datetime
    until: datetime = Field(description="end of the predictions that count: where the oldest waits for people")
    canary: ArmOut
    champion: ArmOut
    predictions: int = Field(description="of both, whether or not a person saw them")
    waiting: int = Field(description="that people are to look at still")
    unanswered: int = Field(description="that nobody could answer, or has in time")
    low: float = Field(description="the least by which its failure rate is higher; above 0: it is worse")
    high: float = Field(description="the most; below the margin: it is not worse")
    needed: int | None = Field(
        description="answers of the canary that are missing, about, to say that it is not worse, where it is as "
        "good; null where nothing can be told"
    )
    passed_at: datetime | None = Field(description="since when it may be promoted")
    words: str
