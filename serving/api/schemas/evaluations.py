"""What a cycle measured, and the slices that it looks at."""

from typing import Annotated

from pydantic import Field

from loop.domain.policy.slice_rules import MOST_SLICES, SliceKind
from serving.api.schemas.wire import In, Out


class FiguresOut(Out):
    """COCO's, in [0, 1]; null where there is no box to judge by. Sizes: below 32 x 32 pixels, below 96 x 96, above."""

    boxes: int = Field(description="true ones")
    ap: float | None = Field(description="over IoU 0.50 to 0.95")
    ap50: float | None
    ap75: float | None
    ap_small: float | None
    ap_medium: float | None
    ap_large: float | None
    ar1: float | None = Field(description="recall with at most one detection of a class in an image")
    ar10: float | None
    ar100: float | None
    ar_small: float | None
    ar_medium: float | None
    ar_large: float | None


class ComparedOut(Out):
    before: FiguresOut | None = Field(description="of the champion; null where there was none")
    after: FiguresOut = Field(description="of the candidate")


class SliceFiguresOut(Out):
    kind: SliceKind
    name: str
    images: int
    note: str = Field(description="why it has no images")
    figures: ComparedOut
    failed_before: float | None = Field(description="share of its images that a person would have to correct")
    failed_after: float | None
    calibration_before: float | None = Field(description="D-ECE: how far scores are from the share of right detections")
    calibration_after: float | None
    errors: dict[str, float] = Field(
        description="by kind, how much higher the candidate's AP50 would be without them; of views, audits and past "
        "failures"
    )


class LatencyOut(Out):
    runtime: str = Field(description="what would serve it, with its precision")
    median: float = Field(description="seconds for one image")
    p90: float


class LatenciesOut(Out):
    images: int = Field(description="that both were timed on by turns")
    before: LatencyOut | None
    after: LatencyOut | None
    unmeasured: str = Field(description="why it could not be measured")


class EvaluationOut(Out):
    images: int = Field(description="that the models are judged by")
    beside: int = Field(description="further held-out ones, which only slices look at")
    split: str
    whole: ComparedOut
    calibration_before: float | None = Field(description="D-ECE on the judged images")
    calibration_after: float | None
    classes: dict[str, ComparedOut] = Field(description="by label")
    slices: list[SliceFiguresOut]
    left_out: dict[str, int] = Field(description="slices beyond the largest fifty of a kind, by kind")
    latency: LatenciesOut


class SliceIn(In):
    """A saved view whose held-out images a candidate may not get worse on."""

    view: str = Field(description="its name; * for each saved view that is not named")
    margin: Annotated[float, Field(ge=0, lt=1)] | None = Field(
        default=None, description="by how much mAP50-95 may get worse; null: gate.slice_margin"
    )


class SlicesIn(In):
    slices: list[SliceIn] = Field(max_length=MOST_SLICES)


class SliceOut(Out):
    view: str
    margin: float | None
    query: str | None = Field(description="of the view; null where it was removed since, and of *")


class SlicesOut(Out):
    slices: list[SliceOut]
    margin: float = Field(description="of those that have none of their own")
