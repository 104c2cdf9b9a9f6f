"""Selections, and the risk that is learned."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from serving.api.schemas.wire import In, Out, Unit


class SelectionIn(In):
    """strategy or strategies, or neither: the default of the settings; with `like`, `failures` or `ambiguous`,
    like-this."""

    budget: int = Field(ge=1, le=20_000, description="how many items people can look at")
    strategy: str | None = Field(default=None, max_length=100)
    strategies: dict[str, float] = Field(
        default={}, max_length=20, description="parts of the budget by strategy, of any sum: {hybrid: 60, anomaly: 20}"
    )
    random_share: Unit | None = Field(
        default=None, description="the least part that is drawn at random; null: of the settings"
    )
    query: str = Field(
        default="",
        max_length=4000,
        description="items that may be chosen, in the language of lists of items; empty: all",
    )
    seed: int | None = Field(default=None, ge=0, lt=2**32, description="the same gives the same picks; null: a new one")
    filter: dict[str, str] = Field(
        default={}, max_length=20, description="by source, group, label or meta.KEY; all hold"
    )
    like: list[str] = Field(
        default=[],
        max_length=1000,
        description="items that the picks resemble: digests, or the first 8 digits of each or more",
    )
    like_boxes: list[str] = Field(
        default=[], max_length=50, description="detections that the picks resemble: DIGEST:NUMBER, numbered from 0"
    )
    failures: int = Field(default=0, ge=0, le=1000, description="so many of the newest corrected items, as `like`")
    ambiguous: int = Field(
        default=0, ge=0, le=1000, description="so many of the most ambiguous items of the last thirty days, as `like`"
    )
    no_duplicates: bool = Field(
        default=False, description="of near-duplicates one at most, and none of what has a task or its truth"
    )
    dry_run: bool = Field(default=False, description="choose, but make no tasks and keep nothing")


class StrategyOut(Out):
    name: str
    takes: str = Field(description="what it takes, in a line")
    without_model: bool = Field(description="whether it can choose before a project has a model")


class StrategiesOut(Out):
    strategies: list[StrategyOut]
    default: dict[str, float] = Field(description="parts of the budget by strategy where nobody says")
    default_without_model: dict[str, float]


class PickOut(Out):
    rank: int
    item_digest: str
    prediction_id: str | None = Field(description="null before there is a model")
    task_id: str | None = Field(description="null in a dry run")
    strategy: str
    score: float = Field(description="what the strategy ranked by; comparable within one strategy only")
    reason: str
    inclusion_probability: float | None = Field(
        description="of the draw at random, for estimates of the pool; null for what a strategy chose"
    )


class SelectionSummary(Out):
    id: str
    project_id: str
    model_id: str | None = Field(description="in whose embedding space it chose; null before there is a model")
    space: str = Field(
        default="", description="of the descriptor that stands for a model where there is none; else empty"
    )
    mix: dict[str, float] = Field(description="shares of the budget by strategy, together 1")
    budget: int
    seed: int
    conditions: dict[str, str] = Field(description="of the filter; `query`: in the language of lists of items")
    like_items: list[str]
    pool: int = Field(description="how many items it chose from")
    picked: int
    actor: str
    created_at: datetime


class SelectionOut(SelectionSummary):
    dry_run: bool = False
    notes: list[str] = Field(default=[], description="what to know of it, a sentence each")
    picks: list[PickOut]


class SelectionPage(Out):
    selections: list[SelectionSummary]
    next: str | None = Field(description="pass as `after` for the next page")


class RiskQuality(Out):
    """How well a risk tells which predictions a person corrects."""

    reviews: int
    failures: int
    failure_rate: float = Field(description="of all predictions, estimated")
    auroc: float | None = Field(description="0.5: no better than chance; null where all or none failed")
    brier: float = Field(description="mean squared error of the risk as a probability")
    base: float = Field(description="that of always saying the failure rate")
    reliability: list[tuple[float, float, float]] = Field(
        description="bins of equal numbers of reviews: mean risk, share that failed, weight"
    )


class LearnedOut(Out):
    fitted_on: int = Field(description="reviews")
    quality: RiskQuality = Field(description="on reviews held out, weighted to stand for all predictions")
    audits: RiskQuality | None = Field(description="the same, of audits alone; null without any")


class RiskOut(Out):
    """learned null: the heuristic is used still, `why` says what is missing."""

    model_id: str
    in_use: Literal["learned", "heuristic"] = Field(description="what gives predictions their risk now")
    learned_at: datetime | None = Field(description="since when; null where nothing is learned, or it is long ago")
    reviewed: int
    learned: LearnedOut | None
    why: str
    routed_by: RiskQuality | None = Field(description="how good the risk was by which these reviews were routed")
