"""Several promises at once, by groups and of other losses, on simulated streams: how often any of them is broken.

Three sources that fail unlike, three labels, of which a prediction shows one or more. The worse a prediction is the
more probable it is that it misses an object of each label, or shows one that is not there; the risk that is shown for
it is noisy. A fifth is audited, whatever the risk. What is lost is counted here by itself, from the draws, and not by
the code that makes thresholds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import binom

from benchmarks.report import QUICK, Figure, at_most, reading
from loop.domain.corrections import Counted
from loop.domain.guarantee.evidence import Population, evidence_of, passing, thresholds_of, window_of
from loop.domain.policy.promises import Loss, Promise, PromiseBy
from loop.domain.production.sampled import Answering, Sampled

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

STREAMS = 40 if QUICK else 400
EACH = 5000
AUDIT_RATE = 0.2
LARGE = 400_000
DELTA = 0.1
SOURCES = ("north", "east", "south")
LABELS = ("car", "person", "sign")
_WORSE = np.array([0.6, 1.0, 1.4])  # of the sources
_MISSES = np.array([0.3, 0.15, 0.3])
_SHOWS = np.array([0.1, 0.3, 0.2])
_BEGUN = datetime(2026, 1, 1, tzinfo=UTC)

PROMISES = (
    Promise(alpha=0.08, delta=DELTA, by=PromiseBy.SOURCE),
    Promise(alpha=0.08, delta=DELTA, by=PromiseBy.LABEL),
    Promise(alpha=0.02, delta=DELTA, loss=Loss.MISSED, classes=("car",)),
    Promise(alpha=0.03, delta=DELTA, loss=Loss.FALSE_ALARM, classes=("person", "sign")),
    Promise(alpha=0.05, delta=DELTA, loss=Loss.COST, missed_weight=0.6, false_alarm_weight=0.2),
)


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """source: (n,) places in SOURCES. shown, missed, false_alarm: (n, labels)."""

    risk: Floats
    source: NDArray[np.intp]
    shown: Flags
    missed: Flags
    false_alarm: Flags

    @classmethod
    def drawn(cls, count: int, rng: np.random.Generator) -> "Stream":
        source = rng.integers(0, len(SOURCES), count)
        bad = np.clip(rng.beta(0.5, 1.5, count) * _WORSE[source], 1e-9, 1.0 - 1e-9)
        shown = rng.random((count, len(LABELS))) < 0.5
        shown[~shown.any(axis=1), 0] = True
        missed = rng.random(shown.shape) < bad[:, None] * _MISSES
        false_alarm = shown & (rng.random(shown.shape) < bad[:, None] * _SHOWS)
        return cls(expit(logit(bad) + rng.normal(0.0, 1.0, count)), source, shown, missed, false_alarm)

    def losses(self, promise: Promise) -> Floats:
        """(n,) in [0, 1]."""
        counts = [not promise.classes or label in promise.classes for label in LABELS]
        missed, false = self.missed[:, counts].sum(axis=1), self.false_alarm[:, counts].sum(axis=1)
        if promise.loss is Loss.COST:
            return np.minimum(promise.missed_weight * missed + promise.false_alarm_weight * false, 1.0)
        wrong = {Loss.FAILURE: missed + false, Loss.MISSED: missed, Loss.FALSE_ALARM: false}[promise.loss]
        return (wrong > 0).astype(np.float64)

    def members(self, group: str) -> Flags:
        by, _, name = group.partition("=")
        if by == "source":
            return self.source == SOURCES.index(name)
        return self.shown[:, LABELS.index(name)] if by == "label" else np.ones(len(self.risk), dtype=bool)


def together_figures() -> Iterator[Figure]:
    """The bar is delta with what chance does to so many streams (a hundredth that it is exceeded if delta is kept)."""
    most = float(binom.ppf(0.99, STREAMS, DELTA)) / STREAMS
    truth = Stream.drawn(LARGE, np.random.default_rng(99))
    settings: dict[str, Sequence[Promise]] = {
        "one, by source": PROMISES[:1],
        "one, by label": PROMISES[1:2],
        "one, missed objects of a class": PROMISES[2:3],
        "one, false alarms of two classes": PROMISES[3:4],
        "one, weighted cost": PROMISES[4:],
        "all five together": PROMISES,
    }
    for name, promises in settings.items():
        found = [_one(promises, truth, np.random.default_rng(seed)) for seed in range(STREAMS)]
        broken = float(np.mean([any_broken for any_broken, _ in found]))
        yield at_most(f"any of its groups broken: {name}", broken, most, "share", STREAMS)
        yield reading(f"passes: {name}", float(np.mean([passes for _, passes in found])), "share", STREAMS)


def _one(promises: Sequence[Promise], truth: Stream, rng: np.random.Generator) -> tuple[bool, float]:
    """Whether what passes by the threshold of any group fails more than was promised of it; the share that passes."""
    stream = Stream.drawn(EACH, rng)
    drawn = np.flatnonzero(rng.random(EACH) < AUDIT_RATE)
    labels = [frozenset(label for label, there in zip(LABELS, row, strict=True) if there) for row in stream.shown]
    population = Population(
        place={str(row): row for row in range(EACH)}, risk=stream.risk, inclusion=np.full(EACH, AUDIT_RATE),
        source=[SOURCES[place] for place in stream.source], labels=labels,
        moment=[_BEGUN + timedelta(seconds=row) for row in range(EACH)],
    )  # fmt: skip
    window = window_of(
        [_audited(row, population) for row in drawn[::-1].tolist()], since=_BEGUN, now=_BEGUN + timedelta(days=1),
        patience=timedelta(days=2), most_audits=EACH,
    )  # fmt: skip
    groups = evidence_of(window, population, promises, lambda one: _errors(stream, int(one.prediction_id)))
    thresholds = thresholds_of(groups, promises, 1.0)
    broken = False
    for one in thresholds:
        of_group = truth.members(one.group)
        lost = truth.losses(promises[one.promise])[of_group] * (truth.risk[of_group] < one.value)
        broken = broken or float(lost.mean()) > promises[one.promise].alpha
    return broken, float(passing(groups, thresholds, population).mean())


def _audited(row: int, population: Population) -> Sampled:
    return Sampled(
        prediction_id=str(row), item_digest="", created_at=population.moment[row], source=population.source[row],
        detections=(), signals={}, risk=float(population.risk[row]), inclusion=AUDIT_RATE, audit_rate=AUDIT_RATE,
        audit_drawn=True, answering=Answering.SETTLED, truth=None, settled_at=None,
    )  # fmt: skip


def _errors(stream: Stream, row: int) -> dict[str, Counted]:
    return {
        label: Counted(false_alarms=int(stream.false_alarm[row, place]), missed=int(stream.missed[row, place]))
        for place, label in enumerate(LABELS)
    }
