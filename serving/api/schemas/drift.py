"""Drift reports."""

from datetime import datetime

from pydantic import Field

from loop.domain.production.drift import Origin, Verdict
from serving.api.schemas.wire import Out


class DriftTestOut(Out):
    name: str = Field(description="embeddings, scores or classes")
    statistic: float
    effect: float = Field(
        description="in 0..1; embeddings: how well images are told apart (AUROC, 0.5: not at all); scores: the largest "
        "gap between the two distributions; classes: the share of objects that moved to another class"
    )
    low: float = Field(description="of the effect's 95 % interval")
    high: float
    p: float
    adjusted_p: float = Field(description="for all tests of the look; drift where it is at most `level`")


class ClassShiftOut(Out):
    label: str
    before: float = Field(description="share of the objects of the reference")
    after: float
    low: float = Field(description="of the 95 % interval of the difference")
    high: float


class ScoreShiftOut(Out):
    before: float = Field(description="median of the largest score of an image of the reference")
    after: float
    low: float = Field(description="of the 95 % interval of the difference")
    high: float


class SourceShiftOut(Out):
    source: str
    images: int
    unlike: float = Field(description="about 0.5: as the reference; 1: each image unlike all of it")


class DriftReportOut(Out):
    id: str
    project_id: str
    model_id: str
    actor: str
    created_at: datetime
    scheduled: bool = Field(description="false: somebody asked for it, and no alarm rests on it")
    verdict: Verdict
    alarm: bool = Field(description="an episode of drift is under way after this look")
    level: float
    reference_origin: Origin
    reference_images: int
    reference_units: int = Field(description="independent ones; images of a clip count as one")
    window_images: int
    window_units: int
    window_of: int = Field(description="predictions that the window was drawn from")
    window_from: datetime
    window_until: datetime
    tests: list[DriftTestOut]
    classes: list[ClassShiftOut] = Field(description="what moved most first")
    scores: ScoreShiftOut
    sources: list[SourceShiftOut] = Field(description="the most unlike first")
    unlike: list[str] = Field(description="digests of the items that are most unlike the reference, first")
    notes: list[str]
    cycle_id: str | None = Field(description="the cycle that the alarm asked for")


class DriftStatusOut(Out):
    model_id: str
    alarm: bool = Field(description="an episode of drift is under way")
    waiting: str = Field(description="what the next scheduled look waits for")


class DriftPage(DriftStatusOut):
    reports: list[DriftReportOut]
    next: str | None = Field(description="pass as `after` for the next page")
