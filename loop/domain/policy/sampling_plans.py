"""Lots of finished work: how many to look at again, and when the lot is accepted or all of it is done anew.

What is looked at is drawn from the lot at random, without replacement, and judged in the order of drawing. Every plan
comes down to two numbers for each count of inspected tasks: accept with so few defects, reject with so many.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from math import ceil, floor, log

import numpy as np
import scipy  # loads its parts when they are first used: clients import this module and need none of them
from numpy.typing import NDArray

from loop.domain.errors import Invalid

Floats = NDArray[np.float64]
Counts = NDArray[np.intp]

_ROUNDING = 1e-9  # 0.07 of 100 tasks are 7 of them, although the product is a little more
_NEGLIGIBLE = 1e-15  # probability of still looking
_KEPT_PLANS = 64


class LotVerdict(StrEnum):
    ACCEPT = "accept"
    REJECT = "reject"  # all of the lot is done anew
    CONTINUE = "continue"


@dataclass(frozen=True, slots=True)
class FixedShare:
    """Look at `share` of the lot, in (0, 1], rounded up; accept with a share of defects of at most `threshold`, in
    [0, 1). Simple to explain, but what it promises depends on the size of the lot: see its curve."""

    share: float
    threshold: float

    def __post_init__(self) -> None:
        if not (0.0 < self.share <= 1.0 and 0.0 <= self.threshold < 1.0):
            raise Invalid(
                f"a share of {self.share:g} with a threshold of {self.threshold:g} is no plan.",
                hint="Give a share in (0, 1] and a threshold in [0, 1), as 0.1 and 0.05.",
            )


@dataclass(frozen=True, slots=True)
class Risks:
    """What a plan has to promise. aql: a lot with at most this share of defects is good, and rejected with probability
    at most `alpha` (the producer's risk). ltpd: one with at least this share is bad, and accepted with probability at
    most `beta` (the consumer's risk). 0 <= aql < ltpd <= 1; alpha, beta in (0, 0.5]."""

    aql: float
    ltpd: float
    alpha: float = 0.05
    beta: float = 0.1

    def __post_init__(self) -> None:
        if not 0.0 <= self.aql < self.ltpd <= 1.0:
            raise Invalid(
                f"no plan tells lots with {self.aql:g} defects from lots with {self.ltpd:g}.",
                hint="Give shares with 0 <= aql < ltpd <= 1; the wider apart, the fewer tasks are looked at.",
            )
        if not (0.0 < self.alpha <= 0.5 and 0.0 < self.beta <= 0.5):
            raise Invalid(
                f"the risks {self.alpha:g} and {self.beta:g} cannot be met.",
                hint="Give alpha and beta in (0, 0.5]: 0.05 is one good lot in twenty.",
            )

    def defects(self, lot: int) -> tuple[int, int]:
        """The most defects of a good lot of this size, and the fewest of a bad one."""
        return floor(self.aql * lot + _ROUNDING), ceil(self.ltpd * lot - _ROUNDING)


@dataclass(frozen=True, slots=True)
class Single:
    """The smallest sample that keeps `risks`, as ISO 2859 plans its lots, computed for each lot from the
    hypergeometric distribution. most: the largest sample that may be asked for; None: up to the whole lot."""

    risks: Risks
    most: int | None = None


@dataclass(frozen=True, slots=True)
class Sequential:
    """Look at one after the other until it is clear (Wald 1945): keeps `risks` with fewer tasks on average."""

    risks: Risks


Plan = FixedShare | Single | Sequential


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """A plan for one size of lot. accept, reject: (most + 1,) by how many were inspected: accept with at most so many
    defects (-1: not yet), reject with at least so many. At `most` inspected one of the two holds."""

    lot: int
    accept: Counts
    reject: Counts

    def __post_init__(self) -> None:
        for numbers in (self.accept, self.reject):
            numbers.setflags(write=False)  # they are kept for whoever asks next

    @property
    def most(self) -> int:
        return len(self.accept) - 1


@dataclass(frozen=True, slots=True)
class Judgement:
    """verdict on a lot after `inspected` of its tasks had `defects`. accept_at, reject_at: the numbers of defects that
    decide at this count (accept_at -1: it cannot be accepted yet). left: the most that remain to be looked at."""

    verdict: LotVerdict
    inspected: int
    defects: int
    accept_at: int
    reject_at: int
    left: int

    @property
    def reason(self) -> str:
        found = f"{self.defects} of {self.inspected} inspected have defects"
        if self.verdict is LotVerdict.ACCEPT:
            return f"{found}: accepted with at most {self.accept_at}"
        if self.verdict is LotVerdict.REJECT:
            return f"{found}: rejected with {self.reject_at} or more"
        accepts = f"at most {self.accept_at} would accept, " if self.accept_at >= 0 else ""
        return f"{found}: {accepts}{self.reject_at} would reject; at most {self.left} more to look at"


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """What a plan does with lots of `defects` (m,): probability that it accepts them, in [0, 1] (the operating
    characteristic), and how many tasks it looks at on average (the average sample number). Exact."""

    lot: int
    defects: Counts
    accepts: Floats
    inspects: Floats


def judged(plan: Plan, *, lot: int, inspected: int, defects: int) -> Judgement:
    """What the plan says of a lot of `lot` tasks, of which `inspected` were drawn and looked at, in their order.

    Plans of a fixed sample stop too where the rest of it cannot change the verdict. Raises Invalid for counts that
    cannot be, for more inspected than the plan draws, and where the plan does not exist.
    """
    numbers = numbers_of(plan, lot)
    if not 0 <= defects <= inspected <= lot:
        raise Invalid(
            f"{defects} defects in {inspected} of {lot} tasks cannot be.",
            hint="Give 0 <= defects <= inspected <= the size of the lot.",
        )
    if inspected > numbers.most:
        raise Invalid(
            f"{inspected} tasks were inspected, the plan draws {numbers.most} of {lot}.",
            hint=f"Judge the first {numbers.most} that were drawn.",
        )
    accept_at, reject_at = int(numbers.accept[inspected]), int(numbers.reject[inspected])
    verdict = LotVerdict.CONTINUE
    if defects >= reject_at:
        verdict = LotVerdict.REJECT
    elif defects <= accept_at:
        verdict = LotVerdict.ACCEPT
    left = numbers.most - inspected if verdict is LotVerdict.CONTINUE else 0
    return Judgement(verdict, inspected, defects, accept_at, reject_at, left)


@lru_cache(maxsize=_KEPT_PLANS)
def numbers_of(plan: Plan, lot: int) -> Numbers:
    """The plan's numbers for a lot of this size. Raises Invalid for an empty lot, and where no such plan exists."""
    if lot < 1:
        raise Invalid(f"a lot of {lot} tasks cannot be judged.", hint="Put at least one task into a lot.")
    if isinstance(plan, FixedShare):
        sample = ceil(plan.share * lot - _ROUNDING)
        return _of_sample(lot, sample, floor(plan.threshold * sample + _ROUNDING))
    if isinstance(plan, Single):
        return _of_sample(lot, *single_sample(plan.risks, lot, most=plan.most))
    return _sequential(plan.risks, lot)


def single_sample(risks: Risks, lot: int, *, most: int | None = None) -> tuple[int, int]:
    """(n, c): draw n, accept with at most c defects; the smallest n that keeps the risks, and its smallest c.

    For each c the smallest n that keeps the consumer's risk is the best for the producer too; it grows with c, so the
    first c that keeps the producer's risk gives the smallest n. Inspecting the whole lot keeps every risk.
    Raises Invalid where more than `most` would have to be drawn.
    """
    good, bad = risks.defects(lot)
    n = 0
    for c in range(bad):
        n = _smallest_sample(lot, bad, c, risks.beta, above=n)
        if scipy.stats.hypergeom.cdf(c, lot, good, n) >= 1.0 - risks.alpha - _ROUNDING:
            break
    if most is not None and n > most:
        raise Invalid(
            f"no sample of at most {most} of {lot} tasks keeps these risks.",
            hint=f"Allow {n}, or raise ltpd ({risks.ltpd:g}), alpha ({risks.alpha:g}) or beta ({risks.beta:g}).",
            smallest=n,
        )
    return n, c


def curve_of(plan: Plan, lot: int, defects: Sequence[int] | Counts) -> Curve:
    """For lots with these numbers of defects, each in [0, lot]; exact, by dynamic programming over what has been
    inspected and found, whatever the plan. Raises Invalid for numbers out of range."""
    having = np.asarray(defects, dtype=np.intp).reshape(-1)
    if having.size and not (having.min() >= 0 and having.max() <= lot):
        raise Invalid(f"a lot of {lot} tasks has 0 to {lot} defects.", hint="Give numbers of tasks, not shares.")
    return _curve(numbers_of(plan, lot), having)


def _smallest_sample(lot: int, bad: int, c: int, beta: float, *, above: int) -> int:
    """The smallest n with P(at most c defects of n | `bad` in the lot) <= beta; there is one, since c < bad. It lies
    above that of c - 1."""

    def keeps(n: int) -> bool:
        return bool(scipy.stats.hypergeom.cdf(c, lot, bad, n) <= beta + _ROUNDING)

    low, step = above, 1
    while low + step < lot and not keeps(low + step):
        low, step = low + step, 2 * step
    return bisect_left(range(min(low + step, lot)), True, lo=low + 1, key=keeps)


def _of_sample(lot: int, n: int, c: int) -> Numbers:
    """Accept with at most c defects in n; earlier where the rest of the sample cannot change that."""
    inspected = np.arange(n + 1)
    accept = np.maximum(c - (n - inspected), -1)
    return Numbers(lot, accept.astype(np.intp), np.full(n + 1, c + 1, dtype=np.intp))


def _sequential(risks: Risks, lot: int) -> Numbers:
    """Wald's test of "as many defects as a good lot may have" against "as a bad one has", by the likelihood of what was
    drawn without replacement, so that it ends by itself before the lot does.

    Wald's bounds A = (1 - beta) / alpha and B = beta / (1 - alpha) keep the sum of the risks, but not always each of
    them; where the exact curve shows that they do not, A = 1 / alpha and B = beta are taken, which do (Ville 1939: the
    likelihood ratio is a martingale).
    """
    good, bad = risks.defects(lot)
    numbers = _bounded(lot, good, bad, log(risks.beta / (1.0 - risks.alpha)), log((1.0 - risks.beta) / risks.alpha))
    accepts = _curve(numbers, np.array([good, bad])).accepts
    if accepts[0] >= 1.0 - risks.alpha and accepts[1] <= risks.beta:
        return numbers
    return _bounded(lot, good, bad, log(risks.beta), log(1.0 / risks.alpha))


def _bounded(lot: int, good: int, bad: int, low: float, high: float) -> Numbers:
    """Accept where the log of the likelihood ratio is at most `low`, reject where it is at least `high`.

    For a number of defects the ratio falls with how many were inspected, so that each has one count from which it
    accepts, and one up to which it rejects. More defects than a good lot may have reject at once.
    """
    d = np.arange(good + 1)
    accepts_from = _first(d, lot, lambda k: _log_ratio(lot, good, bad, k, d) <= low + _ROUNDING)
    passes_from = _first(d, lot, lambda k: _log_ratio(lot, good, bad, k, d) < high - _ROUNDING)
    k = np.arange(lot + 1)
    accept = np.searchsorted(accepts_from, k, side="right") - 1
    reject = np.searchsorted(passes_from, k, side="right")
    return Numbers(lot, accept.astype(np.intp), reject.astype(np.intp))


def _first(low: Counts, high: int, holds: Callable[[Counts], NDArray[np.bool_]]) -> Counts:
    """For each the smallest count from `low` to `high` for which it holds, `high` + 1 where it never does; once it
    holds it does for all larger ones."""
    below, above = low - 1, np.full_like(low, high + 1)
    while (above - below > 1).any():
        middle = (below + above) // 2
        found = holds(np.clip(middle, low, high))
        wide = above - below > 1
        below, above = np.where(wide & ~found, middle, below), np.where(wide & found, middle, above)
    return above


def _log_ratio(lot: int, good: int, bad: int, k: Counts, d: Counts) -> Floats:
    """log of P(d defects in k | bad) / P(d defects in k | good), for d <= good and d <= k; -inf where more are intact
    than a bad lot has."""
    ratio = _log_ways(lot, bad, k, d) - _log_ways(lot, good, k, d)
    return np.where(k - d > lot - bad, -np.inf, ratio)


def _log_ways(lot: int, defects: int, k: Counts, d: Counts) -> Floats:
    """log of C(defects, d) C(lot - defects, k - d); meaningless where there are none."""

    def choose(n: int, of: Counts) -> Floats:
        inside = np.clip(of, 0, n)
        gammaln = scipy.special.gammaln
        return np.asarray(gammaln(n + 1) - gammaln(inside + 1) - gammaln(n - inside + 1))

    return choose(defects, d) + choose(lot - defects, k - d)


def _curve(numbers: Numbers, having: Counts) -> Curve:
    accepts, inspects = np.zeros(len(having)), np.zeros(len(having))
    alive = np.ones((len(having), 1))  # probability to be still looking, by defects found, from `first` on
    first = 0
    for k in range(numbers.most + 1):
        accepted = int(numbers.accept[k]) + 1 - first
        if accepted > 0:
            accepts += alive[:, :accepted].sum(axis=1)
            alive, first = alive[:, accepted:], first + accepted
        alive = alive[:, : max(int(numbers.reject[k]) - first, 0)]
        looking = alive.sum(axis=1)
        inspects += looking
        if not (looking > _NEGLIGIBLE).any():
            break
        found = first + np.arange(alive.shape[1])
        chance = np.clip((having[:, None] - found) / (numbers.lot - k), 0.0, 1.0)
        grown = np.zeros((len(having), alive.shape[1] + 1))
        grown[:, :-1] = alive * (1.0 - chance)
        grown[:, 1:] += alive * chance
        alive = grown
    return Curve(numbers.lot, having, np.clip(accepts, 0.0, 1.0), inspects)
