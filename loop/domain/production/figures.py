"""By which rules it is told how good production is, and what of it is kept for monitoring."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum


class ProductionBasis(StrEnum):
    """ALL: audits and what its risk, or a caller, sent to people. AUDITS: the lot alone, which a backlog of the others
    does not touch."""

    ALL = "all"
    AUDITS = "audits"


class ProductionBy(StrEnum):
    """What makes a row."""

    LABEL = "label"
    SOURCE = "source"
    DAY = "day"
    WEEK = "week"
    MODEL = "model"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductionRules:
    """audits: the newest so many that an estimate is made from. reviewed: the most of those that came to people
    otherwise. patience: how long an answer is waited for. every: how often figures for monitoring are made anew."""

    audits: int
    reviewed: int
    patience: timedelta
    every: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductionFigures:
    """Of a champion, for monitoring. failure_rate, low, high: None while nothing was answered."""

    project_id: str
    model_id: str
    computed_at: datetime
    audits: int
    failure_rate: float | None
    low: float | None
    high: float | None
