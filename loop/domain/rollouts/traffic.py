"""What a model did with the requests of the last minutes, and whether a rollout must be taken back for it.

Counters only, so that a gateway can keep them for every request: two numbers and a histogram with logarithmic
buckets, whose quantiles are off by at most 1 % (DDSketch: Masson, Rim & Lee, VLDB 2019).
"""

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from loop.domain.rollouts.rollout import RolloutLimits

_GAMMA = 1.02  # each bucket ends 2 % above where it begins: its middle is within 1 %
_LOG_GAMMA = math.log(_GAMMA)
_SHORTEST_SECONDS = 1e-6  # anything shorter counts as this
_SLOTS = 30  # of a sliding window: what leaves it leaves in steps of a thirtieth
_NEGLIGIBLE = 1e-18  # of a sum of probabilities

# The quantiles of latency that are compared: the usual request, and the slow ones.
_COMPARED = ((0.5, "median"), (0.95, "95th percentile"))


@dataclass(frozen=True, slots=True)
class Traffic:
    """requests: all of them; errors: those without an answer. latencies: how many of the answered ones by bucket
    (`bucket_of`), so that `requests - errors` is the sum of the counts."""

    requests: int = 0
    errors: int = 0
    latencies: Mapping[int, int] = field(default_factory=dict)

    @property
    def answered(self) -> int:
        return self.requests - self.errors

    def __add__(self, other: "Traffic") -> "Traffic":
        buckets = self.latencies.keys() | other.latencies.keys()
        latencies = {b: self.latencies.get(b, 0) + other.latencies.get(b, 0) for b in buckets}
        return Traffic(self.requests + other.requests, self.errors + other.errors, latencies)

    def latency(self, rank: int) -> float:
        """Seconds of the `rank`-th fastest answer (1 is the fastest), within 1 %. Raises ValueError where there are
        fewer answers."""
        if rank < 1:
            raise ValueError(f"ranks begin at 1, not {rank}")
        for bucket in sorted(self.latencies):
            rank -= self.latencies[bucket]
            if rank <= 0:
                return _middle(bucket)
        raise ValueError("there are fewer answers than that")


def bucket_of(seconds: float) -> int:
    """The bucket of a latency: the smallest i with 1.02**i at or above it."""
    return math.ceil(math.log(max(seconds, _SHORTEST_SECONDS)) / _LOG_GAMMA)


def _middle(bucket: int) -> float:
    return 2.0 * _GAMMA**bucket / (1.0 + _GAMMA)


class TrafficWindow:
    """The traffic of the last `window_s` seconds, to a thirtieth of it. For one thread.

    `now` is any clock in seconds that never goes back, the same for all calls.
    """

    def __init__(self, window_s: float) -> None:
        self._slot_s = window_s / _SLOTS
        self._slots: deque[_Slot] = deque()

    def answered(self, now: float, seconds: float) -> None:
        """A request got its answer after `seconds`."""
        slot = self._slot(now)
        slot.requests += 1
        bucket = bucket_of(seconds)
        slot.latencies[bucket] = slot.latencies.get(bucket, 0) + 1

    def failed(self, now: float) -> None:
        """A request got no answer from this model, by the model's fault."""
        slot = self._slot(now)
        slot.requests += 1
        slot.errors += 1

    def traffic(self, now: float) -> Traffic:
        self._drop_old(now)
        latencies: dict[int, int] = {}
        for slot in self._slots:
            for bucket, count in slot.latencies.items():
                latencies[bucket] = latencies.get(bucket, 0) + count
        return Traffic(sum(s.requests for s in self._slots), sum(s.errors for s in self._slots), latencies)

    def _slot(self, now: float) -> "_Slot":
        number = math.floor(now / self._slot_s)
        if not self._slots or self._slots[-1].number < number:
            self._drop_old(now)
            self._slots.append(_Slot(number))
        return self._slots[-1]

    def _drop_old(self, now: float) -> None:
        oldest = math.floor(now / self._slot_s) - _SLOTS
        while self._slots and self._slots[0].number <= oldest:
            self._slots.popleft()


@dataclass(slots=True)
class _Slot:
    number: int
    requests: int = 0
    errors: int = 0
    latencies: dict[int, int] = field(default_factory=dict)


# --- the decision ----------------------------------------------------------------------------------


def breach(limits: RolloutLimits, rollout: Traffic, champion: Traffic) -> str | None:
    """Why a rollout must be taken back, in words; None where nothing is proven against it.

    Errors: taken back where the error rate lies above the limit with the confidence asked for, by the exact binomial
    test (Clopper & Pearson 1934), so that one error in three proves nothing and a model that always errs is caught
    after a few requests. Where the champion errs more than the limit itself (the fault is elsewhere), its rate is
    the limit.

    Latency: taken back where the median or the 95th percentile of this model is above the limit times the
    champion's, with distribution-free bounds on both (David & Nagaraja 2003, 7.1): the rollout's is at least what
    its bound says, the champion's at most what its own says.
    """
    return _too_many_errors(limits, rollout, champion) or _too_slow(limits, rollout, champion)


def _too_many_errors(limits: RolloutLimits, rollout: Traffic, champion: Traffic) -> str | None:
    limit = limits.max_error_rate
    if champion.requests >= limits.min_requests:
        limit = max(limit, champion.errors / champion.requests)
    if rollout.errors <= limit * rollout.requests:
        return None
    if at_least(rollout.errors, rollout.requests, limit) >= 1.0 - limits.confidence:
        return None
    return (
        f"{rollout.errors} of {rollout.requests} requests failed, more than {limit:.1%} "
        f"(confidence {limits.confidence:g})"
    )


def _too_slow(limits: RolloutLimits, rollout: Traffic, champion: Traffic) -> str | None:
    if min(rollout.answered, champion.answered) < max(limits.min_requests, 1):
        return None
    for quantile, name in _COMPARED:
        mine, theirs = _seen(rollout, quantile), _seen(champion, quantile)
        # What was seen lies between the bounds: where it is within the ratio, so are they, and they cost more.
        if mine > limits.max_latency_ratio * theirs and _proven_slower(limits, quantile, rollout, champion):
            return (
                f"the {name} of its latency is {mine * 1000:.0f} ms, the champion's {theirs * 1000:.0f} ms: "
                f"more than {limits.max_latency_ratio:g} times (confidence {limits.confidence:g})"
            )
    return None


def _proven_slower(limits: RolloutLimits, quantile: float, rollout: Traffic, champion: Traffic) -> bool:
    low = lower_rank(quantile, rollout.answered, limits.confidence)
    high = upper_rank(quantile, champion.answered, limits.confidence)
    if low is None or high is None:
        return False
    return rollout.latency(low) > limits.max_latency_ratio * champion.latency(high)


def _seen(traffic: Traffic, quantile: float) -> float:
    return traffic.latency(max(math.ceil(quantile * traffic.answered), 1))


def at_least(successes: int, trials: int, probability: float) -> float:
    """P(X >= successes) for X ~ Binomial(trials, probability), in [0, 1]."""
    if successes <= 0:
        return 1.0
    if successes > trials or probability <= 0.0:
        return 0.0
    if probability >= 1.0:
        return 1.0
    # The smaller tail is summed, so that a sum near 1 loses nothing.
    if successes > trials * probability:
        return _tail(successes, trials, probability)
    return 1.0 - _tail(trials - successes + 1, trials, 1.0 - probability)


def _tail(first: int, trials: int, probability: float) -> float:
    """The sum of the probabilities from `first`, above the mean, upwards: each term is smaller than the one before."""
    term = math.exp(
        math.lgamma(trials + 1)
        - math.lgamma(first + 1)
        - math.lgamma(trials - first + 1)
        + first * math.log(probability)
        + (trials - first) * math.log1p(-probability)
    )
    total, odds = 0.0, probability / (1.0 - probability)
    for k in range(first, trials + 1):
        total += term
        if term <= total * _NEGLIGIBLE:
            break
        term *= (trials - k) / (k + 1) * odds
    return min(total, 1.0)


def lower_rank(quantile: float, count: int, confidence: float) -> int | None:
    """The largest rank whose order statistic lies at or below the `quantile` of the distribution with `confidence`;
    None where `count` observations allow none."""
    alpha = 1.0 - confidence
    return _last(count, lambda rank: 1.0 - at_least(rank, count, quantile) <= alpha)


def upper_rank(quantile: float, count: int, confidence: float) -> int | None:
    """The smallest rank whose order statistic lies at or above the `quantile` with `confidence`, or None."""
    mirrored = lower_rank(1.0 - quantile, count, confidence)
    return None if mirrored is None else count + 1 - mirrored


def _last(count: int, holds: Callable[[int], bool]) -> int | None:
    """The largest of 1..count for which `holds`, which is true up to some rank and false beyond it; or None."""
    low, high = 0, count
    while low < high:
        middle = (low + high + 1) // 2
        if holds(middle):
            low = middle
        else:
            high = middle - 1
    return low or None
