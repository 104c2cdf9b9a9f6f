"""Risk: how probable it is that a person would have to correct this prediction.

Below 50 reviewed items there is nothing to learn from, and a documented heuristic speaks; then what
`selection.risk_fitting` has learned.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import Invalid
from selection.scores import Signals

# Each cause of trouble on its own may send an image to a person, so the causes join as a noisy or
# (Pearl 1988): risk = 1 - prod(1 - weight * cause). The weights say how far each cause is trusted alone.
CONFIDENCE_WEIGHT = 0.9
ENTROPY_WEIGHT = 0.3
MISSED_WEIGHT = 0.6
ANOMALY_WEIGHT = 0.3
# What an image without any detection starts from: the share of such images that hide an object is
# unknown before reviews, so it is a coin toss.
EMPTY_PRIOR = 0.5
# Near-threshold mass at which a missed object is as likely as not to be there.
MISSED_MASS = 0.5
# p-values above this are ordinary; below, trust in the model fades linearly.
ANOMALY_LEVEL = 0.05


# Share of the uncalibrated risk in what is told: isotonic regression says the same of many, whose order would be lost;
# the riskiest would be drawn from a plateau. Too little to be seen in a probability.
_OWN_ORDER = 0.001


def heuristic_risk(signals: Signals) -> float:
    """Risk in [0, 1]; grows with least_confidence, mean_entropy and near_threshold_mass, falls with anomaly_p."""
    missed = MISSED_WEIGHT * (1.0 - math.exp(-math.log(2.0) * signals.near_threshold_mass / MISSED_MASS))
    anomaly = ANOMALY_WEIGHT * max(0.0, 1.0 - signals.anomaly_p / ANOMALY_LEVEL)
    if signals.count:
        seen = 1.0 - (1.0 - CONFIDENCE_WEIGHT * signals.least_confidence) * (
            1.0 - ENTROPY_WEIGHT * signals.mean_entropy
        )
    else:
        seen = EMPTY_PRIOR
    return 1.0 - (1.0 - seen) * (1.0 - missed) * (1.0 - anomaly)


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedRisk:
    """names: of the signals, in the order of `knots`. knots: ascending, of each. weights: of all pieces, one signal
    after the other. raw, calibrated: ascending points between which the output is calibrated in straight lines."""

    names: tuple[str, ...]
    knots: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]
    intercept: float
    raw: tuple[float, ...]
    calibrated: tuple[float, ...]

    def of(self, signals: Mapping[str, float]) -> float:
        """Risk in (0, 1). Raises Invalid where a signal is missing."""
        try:
            values = {name: np.array([signals[name]]) for name in self.names}
        except KeyError as error:
            raise Invalid(
                f"the risk model needs the signal {error}.", hint="It is learned anew from the next reviews."
            ) from error
        return float(self.of_all(values)[0])

    def of_all(self, signals: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """(n,) risks of n predictions."""
        pieces = pieces_of([signals[name] for name in self.names], self.knots)
        raw = 1.0 / (1.0 + np.exp(-(pieces @ np.array(self.weights) + self.intercept)))
        calibrated = np.interp(raw, self.raw, self.calibrated)
        return np.asarray((1.0 - _OWN_ORDER) * calibrated + _OWN_ORDER * raw)

    @classmethod
    def from_fields(cls, fields: Mapping[str, Any]) -> "FittedRisk":
        """From its fields as JSON gives them back. Raises KeyError, TypeError, ValueError for anything else."""
        knots = tuple(tuple(map(float, one)) for one in fields["knots"])
        numbers = {name: tuple(map(float, fields[name])) for name in ("weights", "raw", "calibrated")}
        return cls(names=tuple(fields["names"]), knots=knots, intercept=float(fields["intercept"]), **numbers)


def pieces_of(columns: Sequence[NDArray[np.float64]], knots: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """(n, pieces): how far each value is through each interval between knots, in [0, 1]. What lies beyond the knots is
    as the nearest: outside of what was seen nothing was learned."""
    low = np.array([one for own in knots for one in own[:-1]])
    high = np.array([one for own in knots for one in own[1:]])
    values = np.repeat(np.stack(columns, axis=1), [len(own) - 1 for own in knots], axis=1)
    return np.asarray(np.clip((values - low) / (high - low), 0.0, 1.0))
