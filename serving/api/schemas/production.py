"""How good production is."""

from datetime import date, datetime

from pydantic import Field

from loop.domain.production.figures import ProductionBasis, ProductionBy
from serving.api.schemas.wire import Out

OUTCOMES_ARE_BIASED = (
    "Reported by callers, who report what they notice. Biased: in none of the figures above, and not to be compared "
    "with them."
)


class ProductionEstimateOut(Out):
    value: float
    low: float = Field(description="of the 95 % interval")
    high: float
    n: int = Field(description="answers that it is made from")
    effective_n: float = Field(description="as how many predictions drawn with equal probability they tell")


class FigureOut(Out):
    plain: ProductionEstimateOut | None = Field(
        description="weighted by the inverse of the probability; null without an answer"
    )
    assisted: ProductionEstimateOut | None = Field(
        description="with the risk of all predictions too; null below 100 answers"
    )
    worst: tuple[float, float] | None = Field(
        description="the ends of the interval were all unanswered ones as good, or as bad, as can be; null where none "
        "are, or nothing bounds it"
    )


class ProductionRowOut(Out):
    key: str
    predictions: int = Field(description="that it stands for")
    answers: int
    audits: int = Field(description="of the answers")
    unanswered: int
    failure_rate: FigureOut = Field(description="predictions in which a person had something to correct")
    perfect_rate: FigureOut = Field(description="the others")
    precision: FigureOut = Field(description="right detections among all detections")
    recall: FigureOut = Field(description="objects found among all that are there")
    more_audits: int | None = Field(description="about so many more halve the interval of the failure rate")
    words: str = Field(description="what to make of so few; mostly empty")


class ReportedOut(Out):
    wrong: int = Field(description="predictions of the window of which somebody said so")
    right: int
    note: str = OUTCOMES_ARE_BIASED


class ProductionWindowOut(Out):
    project_id: str
    model_id: str
    since: datetime
    until: datetime
    basis: ProductionBasis = Field(
        description="all: audits and reviewed predictions; audits: these alone, which no backlog biases"
    )
    cut: bool = Field(description="it ends before what was asked for, since people are not further")
    waiting: int = Field(description="predictions that wait for people")
    notes: list[str]


class ProductionOut(ProductionWindowOut):
    by: ProductionBy | None
    total: ProductionRowOut
    rows: list[ProductionRowOut]
    outcomes: ReportedOut


class PointOut(Out):
    day: date
    audits: int = Field(description="answered, up to the end of the day")
    value: float
    low: float = Field(description="all points hold together with 95 % confidence, if the rate does not change")
    high: float


class ProductionSeriesOut(ProductionWindowOut):
    points: list[PointOut]


class SuggestedAuditRatesOut(Out):
    audit_rate: float = Field(description="of the lowest risks")
    by_risk: list[tuple[float, float]] = Field(description="[from which risk on, rate]")
    worth: float = Field(description="as how many audits drawn at one rate one of these is, by the risk")
    seen: int = Field(description="predictions of the last 30 days that it was found from")
