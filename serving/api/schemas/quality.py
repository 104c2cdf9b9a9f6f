"""Consensus, golden items, and who is trusted."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from loop.domain.policy.quality_rules import Standing
from serving.api.schemas.shapes import ShapeIO
from serving.api.schemas.wire import In, Out, Unit


class ConsensusRulesOut(Out):
    iou: Unit = Field(description="from which two boxes mean the same object")
    min_agreement: Unit = Field(description="F1 between people below which another decides; 0: never for that")
    min_certainty: Unit = Field(description="with which each shape must be there or not, and have its label")


class GoldenRulesOut(Out):
    rate: Unit = Field(description="with which what a person is handed is a golden item")
    again_days: float = Field(description="before which nobody gets the same one again")
    qualification: bool = Field(description="new people get golden items alone until they are qualified")
    training: bool = Field(description="people see the trusted answer after theirs")


class StandingRulesOut(Out):
    bar: Unit = Field(description="precision and recall that people must have")
    confidence: Unit = Field(description="with which golden items must show it, or the opposite")
    min_items: int = Field(description="golden items before anything is decided")
    window: int = Field(description="the last golden items, which count")


class LabelRulesOut(Out):
    recheck: int = Field(description="items with doubtful truth that people look at again before each training")


class QualityOut(Out):
    """See docs/agreement.md."""

    consensus: ConsensusRulesOut
    golden: GoldenRulesOut
    standing: StandingRulesOut
    labels: LabelRulesOut


class ConsensusRulesIn(In):
    iou: float = 0.0
    min_agreement: float = 0.0
    min_certainty: float = 0.0


class GoldenRulesIn(In):
    rate: float = 0.0
    again_days: float = 0.0
    qualification: bool = False
    training: bool = False


class StandingRulesIn(In):
    bar: float = 0.0
    confidence: float = 0.0
    min_items: int = 0
    window: int = 0


class LabelRulesIn(In):
    recheck: int = 0


class QualityIn(In):
    """What is left out keeps its present value."""

    consensus: ConsensusRulesIn = Field(default_factory=ConsensusRulesIn)
    golden: GoldenRulesIn = Field(default_factory=GoldenRulesIn)
    standing: StandingRulesIn = Field(default_factory=StandingRulesIn)
    labels: LabelRulesIn = Field(default_factory=LabelRulesIn)


class GoldenIn(In):
    shapes: Annotated[list[ShapeIO], Field(max_length=5000)] | None = Field(
        default=None, description="the trusted answer; left out: the item's ground truth"
    )


class GoldenOut(Out):
    item_digest: str
    image_url: str
    shapes: list[ShapeIO] = Field(description="the trusted answer")
    version: int = Field(description="grows when the trusted answer changes; answers to earlier ones do not count")
    predicted: bool = Field(
        description="it has a prediction, and may stand in for work that begins with one; without one for other work"
    )
    added_by: str
    added_at: datetime


class GoldenListOut(Out):
    golden: list[GoldenOut] = Field(description="newest first")


class ReasonOut(Out):
    code: str
    detail: str


class RateOut(Out):
    """low, high: a 95 % interval, allowing for shapes of one image that fail together."""

    value: float | None = Field(description="null before there is anything to count")
    low: Unit
    high: Unit


class LabelQualityOut(Out):
    precision: RateOut
    recall: RateOut


class ConfusionOut(Out):
    true: str = Field(description="empty: nothing was there")
    given: str = Field(description="empty: it was not marked")
    count: int


class JudgingOut(Out):
    """Of who judges the answers of others in QA, by answers whose value is known."""

    standing: Standing
    since: datetime | None = Field(description="null: from the beginning")
    why: str
    reasons: list[ReasonOut]
    items: int = Field(description="verdicts that count")
    more: int | None = Field(description="verdicts that are still needed; null: going on like this is not enough")
    accepts: RateOut | None = Field(description="of right answers, those that were let stand")
    catches: RateOut | None = Field(description="of wrong answers, those that were returned or put right")


class MyStandingOut(Out):
    """What golden items say of me. Where these are among other work, as of the last midnight (UTC), but for `standing`:
    figures that move with an answer would tell which items are golden."""

    standing: Standing
    since: datetime | None = Field(description="null: from the beginning")
    why: str
    reasons: list[ReasonOut]
    items: int = Field(description="golden items that count")
    more: int | None = Field(description="golden items that are still needed; null: going on like this is not enough")
    training: bool
    precision: RateOut | None
    recall: RateOut | None
    iou: float | None
    judging: JudgingOut


class ReviewerOut(MyStandingOut):
    """As it is now."""

    id: str = Field(description="of the token")
    name: str
    actor: str = Field(description="who gave the standing; empty where nobody did")
    shared: int = Field(
        description="of who is paused: truths merged of their answers, since the last good golden item, and others'; "
        "they are not asked for again"
    )


class ReviewerDetailOut(ReviewerOut):
    labels: dict[str, LabelQualityOut]
    confusion: list[ConfusionOut]
    weak: list[str] = Field(description="labels that are surely below the bar")
    shared_items: list[str] = Field(description="digests of the first hundred items of `shared`, oldest answer first")


class ReviewersOut(Out):
    reviewers: list[ReviewerOut]


class ReviewerIn(In):
    """What is left out stays as it is."""

    standing: Standing | None = None
    judging: Standing | None = Field(default=None, description="the standing as who judges the answers of others")
    reason: str = Field(default="", max_length=1000, description="of the standing; the person is told")
    training: bool | None = Field(default=None, description="null: as the project says")


class PairAgreementOut(Out):
    reviewers: Annotated[list[str], Field(min_length=2, max_length=2, description="token ids")]
    works: int
    f1: Unit
    iou: Unit | None


class AlphaOut(Out):
    """Krippendorff's: 1 is perfect, 0 what chance gives; null where it cannot be told."""

    boxes: float | None
    labels: float | None
    works: int = Field(description="the newest, over which it is")


class AgreementOut(Out):
    """Over the last works that several people answered."""

    works: int
    f1: Unit | None
    iou: Unit | None
    adjudicated: Unit | None = Field(description="share that another person decided")
    alpha: AlphaOut
    pairs: list[PairAgreementOut]


class ItemAgreementOut(Out):
    """Of the newest work on an item that several people answered."""

    f1: Unit
    iou: Unit | None
    reviewers: list[str] = Field(description="token ids")
    adjudicated: bool = Field(description="another person was asked")
    reasons: list[ReasonOut]
    created_at: datetime


class MergedOut(Out):
    """What the answers come to. Of the disputed shapes some may not be there."""

    shapes: list[ShapeIO]
    disputed: list[str] = Field(description="ids of those that need a decision")


class FeedbackOut(Out):
    """In training: how my answer compares with the trusted one."""

    shapes: list[ShapeIO] = Field(description="the trusted answer")
    precision: Unit
    recall: Unit
    right: int = Field(description="my shapes with the right place and label")
