"""Learning risk from the signals of predictions that people reviewed, and whether they corrected them.

An additive logistic regression: each signal enters by straight pieces between its quantiles, so that its effect may
bend but stays readable, and the fitted model is a few dozen numbers that need no pickle. Isotonic regression on
predictions of models that have not seen the item (cross-fitting) then makes it a probability. Reviews are weighted by
the inverse of the probability with which they came to a person, since those that routing sent are not like all others.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import Invalid
from selection.risk import FittedRisk, pieces_of

if TYPE_CHECKING:  # a process that only routes does without scikit-learn
    from sklearn.isotonic import IsotonicRegression
    from sklearn.linear_model import LogisticRegression

FEWEST_REVIEWS = 50
FEWEST_OF_EACH = 10  # failures, and predictions that were right
_FOLDS = 5
_KNOTS = 4  # inner quantiles of a signal
_PENALTIES = (0.03, 0.3, 3.0)  # inverse strengths; the one with the smallest loss on held-out folds is taken
_HEAVIEST = 50.0  # times the median weight: few heavy reviews must not decide the regression alone
_BINS = 10  # of the reliability curve


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviews:
    """n reviewed predictions. signals: (n,) each, by name. failed: (n,), whether a person had to correct it.
    probability: (n,) in (0, 1], with which it came to a person."""

    signals: Mapping[str, NDArray[np.float64]]
    failed: NDArray[np.bool_]
    probability: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskReport:
    """How good a risk is on reviews that it was not fitted on, weighted to stand for all predictions.

    auroc: in [0, 1], None where all or none failed. brier: mean squared error, in [0, 1]; base: that of always saying
    the failure rate. reliability: (mean risk, share that failed, weight) of the bins that have any.
    """

    reviews: int
    failures: int
    failure_rate: float
    auroc: float | None
    brier: float
    base: float
    reliability: tuple[tuple[float, float, float], ...]


def fit_risk(reviews: Reviews, *, seed: int) -> tuple[FittedRisk, NDArray[np.float64]]:
    """The risk fitted on all reviews, and for each review, (n,), the risk by one that was fitted without it.

    Raises Invalid below FEWEST_REVIEWS reviews, or with fewer than FEWEST_OF_EACH failures or right predictions: then
    the heuristic is to be used.
    """
    _require_enough(reviews)
    names = tuple(sorted(name for name, values in reviews.signals.items() if np.ptp(values) > 0))
    if not names:
        raise Invalid("all signals are the same for all reviews.", hint="The heuristic is used.")
    columns = [reviews.signals[name] for name in names]
    knots = tuple(_knots(column) for column in columns)
    pieces, weights = pieces_of(columns, knots), _weights(reviews.probability)
    folds = _folds(reviews.failed, np.random.default_rng(seed))
    penalty, raw = min(
        ((one, _out_of_fold(pieces, reviews.failed, weights, folds, one)) for one in _PENALTIES),
        key=lambda tried: _loss(tried[1], reviews.failed, weights),
    )
    model = _regression(pieces, reviews.failed, weights, penalty)
    curve = _isotonic(raw, reviews.failed, weights)
    fitted = FittedRisk(
        names=names,
        knots=knots,
        weights=tuple(map(float, model.coef_[0])),
        intercept=float(model.intercept_[0]),
        raw=tuple(map(float, curve.X_thresholds_)),
        calibrated=tuple(map(float, curve.y_thresholds_)),
    )
    return fitted, _calibrated_out_of_fold(raw, reviews.failed, weights, folds)


def report_of(risks: NDArray[np.float64], reviews: Reviews) -> RiskReport:
    """How good `risks` (n,) are at telling which of the reviewed predictions failed."""
    from sklearn.metrics import roc_auc_score

    failed, weights = reviews.failed, _weights(reviews.probability)
    rate = float(np.average(failed, weights=weights))
    both = bool(failed.any() and not failed.all())
    return RiskReport(
        reviews=len(reviews),
        failures=int(failed.sum()),
        failure_rate=rate,
        auroc=float(roc_auc_score(failed, risks, sample_weight=weights)) if both else None,
        brier=float(np.average((risks - failed) ** 2, weights=weights)),
        base=float(np.average((rate - failed) ** 2, weights=weights)),
        reliability=tuple(_reliability(risks, failed, weights)),
    )


def _require_enough(reviews: Reviews) -> None:
    failures = int(reviews.failed.sum())
    right = len(reviews) - failures
    if len(reviews) < FEWEST_REVIEWS or min(failures, right) < FEWEST_OF_EACH:
        raise Invalid(
            f"{len(reviews)} reviews, of which {failures} were corrected, are too few to learn risk from.",
            hint=f"It takes {FEWEST_REVIEWS} reviews with {FEWEST_OF_EACH} of each; until then the heuristic is used.",
        )


def _weights(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """Those of Horvitz and Thompson (1952), of mean 1: with them reviews stand for all predictions."""
    return np.asarray((1.0 / probability) / (1.0 / probability).mean())


def _cut(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the regression learns by. Its shape may lean on what is reviewed most; calibration undoes the rest."""
    return np.asarray(np.minimum(weights, _HEAVIEST * np.median(weights)))


def _knots(values: NDArray[np.float64]) -> tuple[float, ...]:
    """Least, inner quantiles and largest value, without repetitions."""
    return tuple(map(float, np.unique(np.quantile(values, np.linspace(0.0, 1.0, _KNOTS + 2)))))


def _folds(failed: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.intp]:
    """(n,) a fold for each, failures spread evenly."""
    folds = np.empty(len(failed), dtype=np.intp)
    for kind in (failed, ~failed):
        rows = rng.permutation(np.flatnonzero(kind))
        folds[rows] = np.arange(len(rows)) % _FOLDS
    return folds


def _regression(
    pieces: NDArray[np.float64], failed: NDArray[np.bool_], weights: NDArray[np.float64], penalty: float
) -> "LogisticRegression":
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=penalty, max_iter=2000).fit(pieces, failed, sample_weight=_cut(weights))


def _out_of_fold(
    pieces: NDArray[np.float64],
    failed: NDArray[np.bool_],
    weights: NDArray[np.float64],
    folds: NDArray[np.intp],
    penalty: float,
) -> NDArray[np.float64]:
    raw = np.empty(len(failed))
    for fold in range(_FOLDS):
        held = folds == fold
        model = _regression(pieces[~held], failed[~held], weights[~held], penalty)
        raw[held] = model.predict_proba(pieces[held])[:, 1]
    return raw


def _isotonic(
    raw: NDArray[np.float64], failed: NDArray[np.bool_], weights: NDArray[np.float64]
) -> "IsotonicRegression":
    """Never 0 or 1: what never failed in n reviews may fail in the next."""
    from sklearn.isotonic import IsotonicRegression

    least = 1.0 / (len(raw) + 2)
    curve = IsotonicRegression(y_min=least, y_max=1.0 - least, out_of_bounds="clip")
    return curve.fit(raw, failed, sample_weight=weights)


def _calibrated_out_of_fold(
    raw: NDArray[np.float64], failed: NDArray[np.bool_], weights: NDArray[np.float64], folds: NDArray[np.intp]
) -> NDArray[np.float64]:
    risks = np.empty(len(raw))
    for fold in range(_FOLDS):
        held = folds == fold
        risks[held] = _isotonic(raw[~held], failed[~held], weights[~held]).predict(raw[held])
    return risks


def _loss(risks: NDArray[np.float64], failed: NDArray[np.bool_], weights: NDArray[np.float64]) -> float:
    likelihood = np.clip(np.where(failed, risks, 1.0 - risks), 1e-9, 1.0)
    return float(-np.average(np.log(likelihood), weights=weights))


def _reliability(
    risks: NDArray[np.float64], failed: NDArray[np.bool_], weights: NDArray[np.float64]
) -> list[tuple[float, float, float]]:
    """By bins with as many reviews in each."""
    order = np.argsort(risks, kind="stable")
    return [
        (
            float(np.average(risks[rows], weights=weights[rows])),
            float(np.average(failed[rows], weights=weights[rows])),
            float(weights[rows].sum() / weights.sum()),
        )
        for rows in np.array_split(order, min(_BINS, len(order)))
    ]
