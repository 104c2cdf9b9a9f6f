"""A canary judged by what people answer, looked at after each answer: how often it errs, and how soon it knows.

    python -m benchmarks.canary             some three minutes
    QUICK=1 python -m benchmarks.canary     half a minute

A stream is predictions of a champion and a canary that takes a tenth of them, until people have answered 1,000 of the
canary's. Audits see a tenth of all; with `routed`, four of five failures are reviewed for their risk besides. `hard`:
half of the images of every other tenth of the stream make both models fail. `expected 0.3`: where 0.1 is true.

false   streams of equal models (a failure rate of 0.1) in which the canary is ever found worse; beside the z test of
        two proportions at the same level, looked at as often from the thirtieth answer of each on, and once at the end
power   the canary fails twice as often: how often that is found within 1,000 of its answers, and after how many
passes  an equal canary is found not worse by 0.05, and after how many answers; and how often one that is worse by just
        that; one looks after each 25 answers of the canary
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.report import QUICK, Figure, at_least, at_most, publish, reading
from loop.domain.rollouts import two_rates
from loop.domain.rollouts.two_rates import Compared, capital_for_worse

Floats = NDArray[np.float64]

STREAMS = 500
LOOKED_AT = 60 if QUICK else 500  # streams whose bounds are told again and again
SHARE, AUDITS, ANSWERS, RATE, MARGIN, CONFIDENCE = 0.1, 0.1, 1000, 0.1, 0.05, 0.95
LOOK_EVERY, FEWEST = 25, 30
MOST_Z = NormalDist().inv_cdf(CONFIDENCE)


@dataclass(frozen=True, slots=True)
class Stream:
    """Up to the last of 1,000 answers of the canary. of: number of each prediction that was seen, from 1."""

    compared: Compared
    failed: Floats
    of: NDArray[np.intp]

    @property
    def canary_answers(self) -> NDArray[np.intp]:
        """(n,): so far, after each that was seen."""
        return np.cumsum(self.compared.canary)

    def first(self, count: int) -> "Stream":
        """As it was after so many that were seen."""
        known = self.compared
        compared = Compared(
            canary=known.canary[:count], inclusion=known.inclusion[:count], share=known.share, least=known.least,
            predictions=int(self.of[count - 1]), expected=known.expected,
        )  # fmt: skip
        return Stream(compared, self.failed[:count], self.of[:count])


def stream(seed: int, difference: float, *, routed: float = 0.0, hard: bool = False, expected: float = RATE) -> Stream:
    rng = np.random.default_rng(seed)
    count = round(1.3 * ANSWERS / (SHARE * AUDITS))
    canary = rng.random(count) < SHARE
    rate = RATE + difference * canary
    if hard:
        rate = np.maximum(rate, 0.5 * (np.arange(count) // (count // 10) % 2))
    failed = rng.random(count) < rate
    inclusion = np.where(failed & (rng.random(count) < routed), 1.0, AUDITS)
    seen = np.flatnonzero(rng.random(count) < inclusion)
    seen = seen[: int(np.searchsorted(np.cumsum(canary[seen]), ANSWERS)) + 1]
    compared = Compared(
        canary=canary[seen], inclusion=inclusion[seen], share=SHARE, least=AUDITS, predictions=int(seen[-1]) + 1,
        expected=expected,
    )  # fmt: skip
    return Stream(compared, failed[seen].astype(float), seen + 1)


def found_worse(one: Stream) -> float:
    """After how many answers of the canary; infinite where never."""
    return _first(one, capital_for_worse(one.compared, one.failed) >= 1.0 / (1.0 - CONFIDENCE))


def found_by_z(one: Stream) -> float:
    z = z_after_each(one)
    return _first(one, z > MOST_Z)


def z_after_each(one: Stream) -> Floats:
    """(n,): of two proportions, pooled; 0 where either has fewer than 30 answers."""
    canary = one.compared.canary
    ours, theirs = np.cumsum(canary), np.cumsum(~canary)
    wrong_ours, wrong_theirs = np.cumsum(canary * one.failed), np.cumsum(~canary * one.failed)
    enough = (ours >= FEWEST) & (theirs >= FEWEST)
    ours, theirs = np.maximum(ours, 1), np.maximum(theirs, 1)
    pooled = (wrong_ours + wrong_theirs) / (ours + theirs)
    error = np.sqrt(pooled * (1.0 - pooled) * (1.0 / ours + 1.0 / theirs))
    difference = wrong_ours / ours - wrong_theirs / theirs
    return np.where(enough & (error > 0.0), difference / np.maximum(error, 1e-12), 0.0)


def _first(one: Stream, alarms: NDArray[np.bool_]) -> float:
    places = np.flatnonzero(alarms)
    return float(one.canary_answers[places[0]]) if len(places) else float("inf")


def found_not_worse(one: Stream) -> float:
    """After how many answers of the canary; infinite where never."""
    answers = one.canary_answers
    for answered in range(LOOK_EVERY, ANSWERS + 1, LOOK_EVERY):
        known = one.first(int(np.searchsorted(answers, answered)) + 1)
        if two_rates.at_most(known.compared, known.failed, confidence=CONFIDENCE) < MARGIN:
            return float(answered)
    return float("inf")


def false_figures() -> Iterator[Figure]:
    kinds: dict[str, dict[str, float]] = {
        "audits": {}, "routed": {"routed": 0.8}, "hard": {"hard": True}, "expected 0.3": {"expected": 0.3},
    }  # fmt: skip
    for name, kind in kinds.items():
        alarms = [found_worse(stream(seed, 0.0, **kind)) < np.inf for seed in range(STREAMS)]  # type: ignore[arg-type]
        yield at_most(f"equal, {name}: taken back", float(np.mean(alarms)), 1.0 - CONFIDENCE, "share", STREAMS)
    equal = [stream(seed, 0.0) for seed in range(STREAMS)]
    peeked = float(np.mean([found_by_z(one) < np.inf for one in equal]))
    once = float(np.mean([z_after_each(one)[-1] > MOST_Z for one in equal]))
    yield reading("equal: z test after each answer", peeked, "share", STREAMS)
    yield reading("equal: z test once, at the end", once, "share", STREAMS)


def power_figures() -> Iterator[Figure]:
    for name, routed in (("audits", 0.0), ("routed", 0.8)):
        twice = [found_worse(stream(seed, RATE, routed=routed)) for seed in range(STREAMS)]
        power = float(np.mean(np.isfinite(twice)))
        yield at_least(f"twice, {name}: taken back", power, 0.95, "share", STREAMS)
        yield reading(f"twice, {name}: after, median", float(np.median(twice)), "answers", STREAMS)
        yield reading(f"twice, {name}: after, 95 %", float(np.quantile(twice, 0.95)), "answers", STREAMS)
    z = [found_by_z(stream(seed, RATE)) for seed in range(STREAMS)]
    yield reading("twice: z test after, median", float(np.median(z)), "answers", STREAMS)


def pass_figures() -> Iterator[Figure]:
    equal = [found_not_worse(stream(seed, 0.0)) for seed in range(LOOKED_AT)]
    yield at_least("equal: passes", float(np.mean(np.isfinite(equal))), 0.8, "share", LOOKED_AT)
    yield reading("equal: passes after, median", float(np.median(equal)), "answers", LOOKED_AT)
    worse = [found_not_worse(stream(seed, MARGIN)) for seed in range(LOOKED_AT)]
    wrongly = float(np.mean(np.isfinite(worse)))
    yield at_most("worse by the margin: passes", wrongly, 1.0 - CONFIDENCE, "share", LOOKED_AT)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.canary", description=__doc__)
    parts: dict[str, Callable[[], Iterator[Figure]]] = {
        "false": false_figures, "power": power_figures, "passes": pass_figures
    }  # fmt: skip
    parser.add_argument("--only", default=",".join(parts), help=",".join(parts))
    console = Console()
    found: list[Figure] = []
    for name in parser.parse_args(arguments).only.split(","):
        found += parts[name]()
        console.log(f"{name}: done")
    return publish("canary", found, console)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
