"""What work takes and costs, which items are hard to tell, whether a shown prediction is corrected less."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from loop.domain.review.cost import CostBy
from loop.domain.review.efforts import WorkBy
from serving.api.schemas.wire import In, Out, Unit

Rate = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class WorkRowOut(Out):
    key: str = Field(description="token id, label, source, hour 00 to 23, or day")
    name: str = Field(description="of the reviewer; else the key")
    tasks: int = Field(description="answered")
    judged: int = Field(description="of QA: answers of others that were let stand or given back")
    shapes: int = Field(description="in the answers; by label, those of the label")
    skips: int
    median_seconds: float | None = Field(description="of an answer; null where there is none")
    low_seconds: float | None = Field(description="one robust standard deviation below the median")
    high_seconds: float | None = Field(description="one above")
    judging_median_seconds: float | None = Field(description="of a judgement; null where there is none")
    judging_low_seconds: float | None = Field(description="one robust standard deviation below the median")
    judging_high_seconds: float | None = Field(description="one above")
    hours: float = Field(description="of working time, judgements and skips too, with the idle cut")
    tasks_per_hour: float | None = Field(description="answered and judged; null where all were skipped")
    corrected_share: Unit | None = Field(description="of answers to predictions; null where there are none")
    skip_share: Unit = Field(description="of all that was answered, judged or skipped")
    inspected: int = Field(description="by reviewer, of that person's answers: those that QA looked at in that time")
    defect_share: Unit | None = Field(description="of these, what QA gave back or corrected; null where there are none")


class WorkOut(Out):
    by: WorkBy
    since: datetime
    until: datetime
    rows: list[WorkRowOut]


class AmbiguousItemOut(Out):
    item_digest: str
    ambiguity: Unit
    agreement: Unit | None = Field(description="F1 of its answers; null where one person answered")
    deviation: float = Field(description="how much longer than expected it took, in robust standard deviations")
    seconds: float = Field(description="median of its answers")
    answers: int


class AmbiguousOut(Out):
    since: datetime
    until: datetime
    found: int = Field(description="more ambiguous than `above`")
    items: list[AmbiguousItemOut] = Field(description="the most ambiguous first, up to `limit`")


class RequeueIn(In):
    above: Unit = 0.5
    most: Annotated[int, Field(ge=1, le=200)] = 20
    since: datetime | None = None
    until: datetime | None = None


class LeftOut(Out):
    item_digest: str
    why: str


class RequeuedOut(Out):
    items: list[str] = Field(description="open again, for the expert group")
    left: list[LeftOut]


class BiasOut(Out):
    since: datetime
    until: datetime
    hidden: float = Field(description="mean corrections of an answer where the prediction was hidden")
    shown: float = Field(description="and where it was shown")
    difference: float = Field(description="hidden - shown; above 0: fewer are corrected where it is shown")
    low: float = Field(description="of the difference, at 95 % (Welch)")
    high: float
    hidden_tasks: int
    shown_tasks: int
    found: bool = Field(description="the whole interval is above 0")


class RatesIO(In):
    currency: str = Field(description="three letters, ISO 4217")
    per_hour: Rate | None = Field(default=None, description="null: not known")
    people: dict[str, Rate] = Field(
        default_factory=dict, max_length=10_000, description="by token id, where it differs"
    )


class SpentOut(Out):
    key: str = Field(description="label (empty: no shape), cycle (next: none yet), source or token id")
    name: str
    items: int
    tasks: int = Field(description="answers, judgements and skips")
    minutes: float
    minutes_per_item: float
    money: float | None = Field(description="null where somebody's rate is not known")


class EstimateOut(Out):
    value: float
    low: float = Field(description="of 95 %")
    high: float


class EverythingOut(Out):
    """Had one person labelled every item that was served."""

    items: int
    audits: bool = Field(description="true: by the time of audits, which are drawn from all items; else of all answers")
    sample: int = Field(description="answers that it rests on")
    minutes: EstimateOut
    saved: EstimateOut = Field(description="minutes, less those that were spent")
    money: EstimateOut | None
    money_saved: EstimateOut | None


class CostOut(Out):
    since: datetime
    until: datetime
    currency: str
    by: CostBy | None
    rows: list[SpentOut]
    total: SpentOut | None = Field(description="null where there was no work")
    everything: EverythingOut | None = Field(description="null with fewer than ten answers")
