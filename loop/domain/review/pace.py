"""How long work takes, what took unusually long, and whether people correct less when they are shown an answer.

Times are looked at as logarithms: half as long and twice as long are equally far from usual. What is usual is told by
medians, so that a break in every tenth task changes nothing (Hampel 1974: median and MAD withstand up to half of such).
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
import scipy  # loads its parts when they are first used: clients import this module and need none of them
from numpy.typing import NDArray

from loop.domain.errors import Invalid, TooFewImages

Floats = NDArray[np.float64]

UNUSUAL = 3.0  # robust standard deviations above what was expected

_MAD_TO_SD = 1.4826  # of a normal distribution
_LEAST_SPREAD = 0.1  # in log seconds: nobody is so even that a tenth longer is unusual
_MOST_FOR_SLOPE = 500  # tasks, since every pair of them is looked at
_OWN = 5.0  # tasks, after which a reviewer's own pace counts as much as everybody's
_HALF_LONG = 2.0  # deviations at which a time speaks half as strongly as it can
_TIME_WEIGHT = 0.5  # what an image that takes however long is worth beside one on which people disagree entirely
_FEWEST_SHOWN = 10  # tasks with and without, before they are compared
_INTERVAL = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskTime:
    """One answered task. seconds: that it took the reviewer, above 0. shapes: in the answer."""

    task_id: str
    reviewer: str
    shapes: int
    seconds: float

    def __post_init__(self) -> None:
        if not (self.seconds > 0.0 and isfinite(self.seconds) and self.shapes >= 0):
            raise Invalid(
                f"task {self.task_id} took {self.seconds:g} s for {self.shapes} shapes.",
                hint="Give seconds above 0, and no fewer than 0 shapes.",
                task=self.task_id,
            )


@dataclass(frozen=True, slots=True)
class Pace:
    """Of a group of tasks. median: seconds. low, high: one robust standard deviation to either side, seconds. mean:
    seconds of a task, with the idle cut to `usual_most`, for planning hours."""

    tasks: int
    median: float
    low: float
    high: float
    mean: float
    usual_most: float


@dataclass(frozen=True, slots=True)
class Timing:
    """expected: seconds, for that reviewer and that many shapes. deviation: robust standard deviations above it."""

    task: TaskTime
    expected: float
    deviation: float

    @property
    def unusual(self) -> bool:
        return self.deviation >= UNUSUAL


@dataclass(frozen=True, slots=True)
class Bias:
    """hidden, shown: mean corrections of a task without and with the pre-annotation before the reviewer. difference:
    hidden - shown, with its 95 % interval; above 0: fewer are corrected where an answer is shown."""

    hidden: float
    shown: float
    difference: float
    low: float
    high: float
    hidden_tasks: int
    shown_tasks: int

    @property
    def found(self) -> bool:
        return self.low > 0.0


def pace_of(seconds: Sequence[float] | Floats) -> Pace:
    """seconds: of each task, above 0. Raises Invalid without tasks. Times beyond UNUSUAL deviations from the median are
    taken for the time of that (winsorised): whoever left the table did not work all night."""
    if not len(seconds):
        raise Invalid("no task was timed yet.", hint="Ask again when somebody has answered one.")
    logs = np.log(seconds)
    middle, spread = _robust(logs)
    kept = np.clip(logs, middle - UNUSUAL * spread, middle + UNUSUAL * spread)
    low, median, high, most = np.exp([middle - spread, middle, middle + spread, middle + UNUSUAL * spread]).tolist()
    return Pace(len(logs), median, low, high, float(np.exp(kept).mean()), most)


def timed(tasks: Sequence[TaskTime]) -> tuple[Timing, ...]:
    """Each task against what was to be expected, in their order.

    Expected: everybody's median, longer by the number of shapes (Theil-Sen slope on log(1 + shapes)), and by how much
    slower that reviewer usually is, drawn towards everybody's pace where they did few tasks.
    """
    if not tasks:
        return ()
    logs, size = np.log([task.seconds for task in tasks]), np.log1p([task.shapes for task in tasks])
    left = logs - _slope(logs, size) * size
    typical = float(np.median(left))
    own = _own_pace(tasks, left - typical)
    rest = left - typical - own
    _, spread = _robust(rest)
    expected = np.exp(logs - rest)
    return tuple(
        Timing(task, float(seconds), float(far / spread))
        for task, seconds, far in zip(tasks, expected, rest, strict=True)
    )


def ambiguity(*, agreement: float | None, deviations: Sequence[float]) -> float:
    """How ambiguous an image is, in [0, 1]: a signal for selection. agreement: F1 of its reviewers, None where fewer
    than two looked; deviations: `Timing.deviation` of its tasks.

    1 - (1 - disagreement)(1 - slowness): either is enough, both are more. Slowness is at most _TIME_WEIGHT, as a long
    time has other reasons too; it takes the median of the tasks, so that one break does not make an image ambiguous.
    """
    if agreement is not None and not 0.0 <= agreement <= 1.0:
        raise Invalid(f"an agreement of {agreement:g} is out of range.", hint="Give an F1 in [0, 1].")
    disagreement = 0.0 if agreement is None else 1.0 - agreement
    middle = statistics.median(deviations) if len(deviations) else -np.inf
    slowness = _TIME_WEIGHT * float(scipy.special.ndtr(middle - _HALF_LONG))
    return 1.0 - (1.0 - disagreement) * (1.0 - slowness)


def automation_bias(*, hidden: Sequence[float], shown: Sequence[float]) -> Bias:
    """Whether people let stand what they would not have drawn: corrections of each task (by how many shapes the answer
    differs from the prediction) where it was hidden, by lot, and where it was shown.

    Hidden at random, the two differ by nothing but what was shown, so their difference is its effect; the interval is
    Welch's (1947). Raises TooFewImages with fewer than ten tasks of either kind.
    """
    fewest = min(len(hidden), len(shown))
    if fewest < _FEWEST_SHOWN:
        raise TooFewImages(
            f"{len(hidden)} tasks without and {len(shown)} with the pre-annotation are too few to compare.",
            hint=f"It takes {_FEWEST_SHOWN} of each; raise the share of tasks that hide it, or wait.",
        )
    one, other = np.asarray(hidden, dtype=np.float64), np.asarray(shown, dtype=np.float64)
    errors = np.array([one.var(ddof=1) / len(one), other.var(ddof=1) / len(other)])
    difference = float(one.mean() - other.mean())
    half = 0.0
    if errors.any():
        freedom = errors.sum() ** 2 / float((errors**2 / (np.array([len(one), len(other)]) - 1)).sum())
        half = float(scipy.stats.t.ppf(0.5 + _INTERVAL / 2.0, freedom) * np.sqrt(errors.sum()))
    return Bias(
        hidden=float(one.mean()),
        shown=float(other.mean()),
        difference=difference,
        low=difference - half,
        high=difference + half,
        hidden_tasks=len(one),
        shown_tasks=len(other),
    )


def _robust(values: Floats) -> tuple[float, float]:
    """Median, and the standard deviation by the median absolute deviation from it."""
    middle = float(np.median(values))
    return middle, max(_MAD_TO_SD * float(np.median(np.abs(values - middle))), _LEAST_SPREAD)


def _slope(logs: Floats, size: Floats) -> float:
    """Median of the slopes between all pairs of tasks; of evenly drawn ones where there are many. Not below 0."""
    step = max(1, -(-len(logs) // _MOST_FOR_SLOPE))
    logs, size = logs[::step], size[::step]
    if np.ptp(size) == 0.0:
        return 0.0
    return max(0.0, float(scipy.stats.theilslopes(logs, size).slope))


def _own_pace(tasks: Sequence[TaskTime], left: Floats) -> Floats:
    """(n,) of each task's reviewer: how much slower than everybody, in log seconds."""
    names = np.array([task.reviewer for task in tasks])
    own = np.zeros(len(tasks))
    for name in set(names.tolist()):
        rows = names == name
        count = int(rows.sum())
        own[rows] = float(np.median(left[rows])) * count / (count + _OWN)
    return own
