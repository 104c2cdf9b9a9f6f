"""Risk: how probable it is that a person would have to correct this prediction.

With fewer than 50 reviewed items there is nothing to fit, and this documented heuristic speaks (METHODS §1).
"""

import math

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
