"""How predictions turned out, as callers report it."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from loop.domain.production.outcomes import LONGEST_REASON, MOST_LABELS, TurnedOut
from serving.api.schemas.wire import In, Out

MOST_OUTCOMES = 500  # of one request

LabelName = Annotated[str, Field(min_length=1, max_length=200)]


class OutcomeIn(In):
    outcome: TurnedOut
    reason: str = Field(default="", max_length=LONGEST_REASON, description="what was wrong, in your words")
    labels: list[LabelName] = Field(default=[], max_length=MOST_LABELS, description="which labels it is about, if any")
    at: datetime | None = Field(default=None, description="when it was found out; else now")
    send_to_review: bool = Field(
        default=False, description="queue the image for people, first of all, where nobody had it yet; it is no audit"
    )


class OutcomeOfIn(OutcomeIn):
    prediction_id: str = Field(max_length=200)


class OutcomesIn(In):
    outcomes: list[OutcomeOfIn] = Field(min_length=1, max_length=MOST_OUTCOMES)


class OutcomeOut(Out):
    prediction_id: str
    outcome: TurnedOut
    reason: str
    labels: list[str]
    at: datetime
    reported_by: str = Field(description="the id of the caller's token")
    created_at: datetime
    task_id: str | None = Field(description="the task that was made for it")


class OutcomeKeptOut(OutcomeOut):
    note: str = Field(description="what did not come of it; mostly empty")


class RefusedOutcomeOut(Out):
    place: int = Field(description="in what was sent, from 0")
    prediction_id: str
    why: str


class OutcomesKeptOut(Out):
    kept: int = Field(description="those that are new, or say something else than before")
    unchanged: int
    tasks: int = Field(description="made for people")
    notes: list[str] = Field(description="what did not come of some of them, each once")
    refused: list[RefusedOutcomeOut]
