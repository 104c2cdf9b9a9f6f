"""Audit rates by risk, so that as many audits tell more.

Whether a prediction failed that is hardly ever wrong, or nearly always, is hardly news. Of all ways to spend a number
of audits on a rate, that in proportion to the spread of failures, √(r (1 - r)) at a risk of r, tells most (Neyman 1934;
with a guess that audits correct: Zrnic & Candès 2024, "Active Statistical Inference"). Each keeps its probability, by
which estimates weigh it, so that a wrong risk makes them wider and never wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import Invalid

Floats = NDArray[np.float64]

FEWEST_RISKS = 200
_FROM = (0.02, 0.1, 0.3)  # more bands tell 1 % more
# This share is spread evenly: a risk may be wrong where it is smallest, and a promise is judged as if something had
# failed that is drawn least (loop/domain/guarantee/passing.py). With less of it a failure rate is known a little
# better, and promises let less pass; with all of it both are worse (docs/guarantee.md, "Measured").
_EVEN = 0.5
_DIGITS = 5


@dataclass(frozen=True, slots=True)
class AuditBands:
    """audit_rate: that of the lowest risks; by_risk: as of `AuditRates` (loop/domain/policy/promises.py). worth: as how
    many audits drawn at one rate one of these is, by the risk; at least about 1. seen: predictions behind it."""

    audit_rate: float
    by_risk: tuple[tuple[float, float], ...]
    worth: float
    seen: int

    def rates(self, risks: Floats) -> Floats:
        """With which each of these would be drawn; as `AuditRates.of` says."""
        edges = [edge for edge, _ in self.by_risk]
        own = np.array([self.audit_rate, *(rate for _, rate in self.by_risk)])
        return np.asarray(own[np.searchsorted(edges, risks, side="right")])


def bands_for(risks: Floats | Sequence[float], rate: float) -> AuditBands:
    """Rates that draw as many audits as one `rate`, in (0, 1], would of predictions of these risks, (n,) in [0, 1]:
    those that no person looks at anyway. Raises Invalid for fewer than 200, and other rates."""
    if not 0.0 < rate <= 1.0:
        raise Invalid(
            f"{rate:g} is no rate of audits.", hint="Give one above 0, at most 1; 0.02 is usual.", field="rate"
        )
    if len(risks) < FEWEST_RISKS:
        raise Invalid(
            f"{len(risks)} predictions had a chance in the audit lot; {FEWEST_RISKS} can say where audits tell most.",
            hint="Let production predict for a while, with an audit_rate above 0 and below 1.",
        )
    risks = np.asarray(risks, dtype=np.float64)
    news = risks * (1.0 - risks)
    band = np.searchsorted(_FROM, risks, side="right")
    present = np.unique(band)
    # Of two bands the riskier one is never drawn less: the largest rate that applies is a prediction's.
    spread = np.maximum.accumulate([np.sqrt(news[band == one].mean()) for one in present])
    mean = float(spread[np.searchsorted(present, band)].mean())
    share = spread / mean if mean > 0.0 else np.ones_like(spread)
    own = np.minimum(np.round(rate * (_EVEN + (1.0 - _EVEN) * share), _DIGITS), 1.0)
    own = np.maximum(own, 10.0**-_DIGITS)
    of_each = own[np.searchsorted(present, band)]
    needed = float((news / of_each).mean())
    edges = [(0.0, *_FROM)[one] for one in present]
    return AuditBands(
        audit_rate=float(own[0]),
        by_risk=tuple((edge, float(one)) for edge, one in zip(edges[1:], own[1:], strict=True)),
        worth=float(news.mean()) / float(of_each.mean()) / needed if needed > 0.0 else 1.0,
        seen=len(risks),
    )
