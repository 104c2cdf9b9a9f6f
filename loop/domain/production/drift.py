"""Whether production still looks like what the champion was judged on: what a look found, and when it is an alarm."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

# Stands among the labels for an image in which the model found nothing: it counts as one object of this kind.
NOTHING = "(nothing found)"


class Verdict(StrEnum):
    SAME = "same"  # no test shows a difference
    DRIFT = "drift"  # at least one does, at the level asked for


class Origin(StrEnum):
    """Where the reference comes from."""

    EVALUATION = "evaluation"  # held-out images that the version was judged on in its cycle
    PRODUCTION = "production"  # predictions that it made first; or last, when somebody said that they are normal


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftRules:
    """reference, window: images that are compared. every_seconds: the least time between scheduled windows; 0: there
    are none. level: of false alarms, for all tests of a window. confirm: see `alarm_after`. block_seconds: images of
    one source that came within so many count as one draw; 0: each by itself. trigger_cycle: whether an alarm asks for
    a cycle, where at least min_corrections items were reviewed since the last."""

    reference: int
    window: int
    every_seconds: float
    level: float
    confirm: int
    block_seconds: float
    trigger_cycle: bool
    min_corrections: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftTest:
    """One two-sample test. p: by permutation; adjusted_p: for all tests of the look (Benjamini and Hochberg 1995).

    name: embeddings | scores | classes. statistic: energy distance of the embeddings, Kolmogorov-Smirnov's of the
    largest scores, chi-square of the classes. effect, with its 95 % interval low to high, all in [0, 1]:
    embeddings: how well a recent image is told from one of the reference, as AUROC; about 0.5 where it cannot be.
    scores: the largest gap between the two shares of images below a score; 0 where they are distributed alike.
    classes: the share of objects that would have to change their class; 0 where the mix is the same.
    """

    name: str
    statistic: float
    effect: float
    low: float
    high: float
    p: float
    adjusted_p: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassShift:
    """before, after: share of the objects of the reference and of the window, in [0, 1]. low, high: the 95 % interval
    of after - before. label: NOTHING for images without an object."""

    label: str
    before: float
    after: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreShift:
    """before, after: medians of the largest score of an image, 0 where nothing was found. low, high: the 95 % interval
    of after - before."""

    before: float
    after: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceShift:
    """images: of the window. unlike: the mean share of the reference that looks less like the window than they do:
    about 0.5 where nothing changed, 1 where each is unlike all of the reference."""

    source: str
    images: int
    unlike: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftReport:
    """One look. scheduled: as one of the disjoint windows that alarms rest on; else somebody asked for it.

    alarm: after this look an episode of drift is under way. reference_images, window_images: that were compared;
    ..._units: how many of them are independent of each other (clips count as one). window_of: predictions that the
    window was drawn from, evenly; last_sequence: of the newest. sources, unlike (digests of items): what is most
    unlike the reference, first. cycle_id: the cycle that was asked for in this episode.
    """

    id: str
    project_id: str
    model_id: str
    actor: str
    created_at: datetime
    scheduled: bool
    verdict: Verdict
    alarm: bool
    level: float
    reference_origin: Origin
    reference_images: int
    reference_units: int
    window_images: int
    window_units: int
    window_of: int
    window_from: datetime
    window_until: datetime
    last_sequence: int
    tests: tuple[DriftTest, ...]
    classes: tuple[ClassShift, ...]
    scores: ScoreShift
    sources: tuple[SourceShift, ...]
    unlike: tuple[str, ...]
    notes: tuple[str, ...]
    cycle_id: str | None = None


def alarm_after(verdicts: Sequence[Verdict], alarm: bool, *, confirm: int) -> bool:
    """Whether an episode is under way after a scheduled look, whose verdict is the first of `verdicts`; those before it
    follow, newest first. alarm: whether one was under way until then.

    An episode begins with `confirm` windows in a row that show drift, and ends with as many that do not: at a level of
    0.05 one window in twenty shows by chance what is not there, two in a row hardly ever.
    """
    row = verdicts[:confirm]
    turned = len(row) == confirm and all((one is Verdict.DRIFT) != alarm for one in row)
    return alarm != turned
