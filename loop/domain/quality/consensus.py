"""One answer from those of several people, or that somebody has to decide between them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import Invalid
from loop.domain.geometry import Box
from loop.domain.policy.quality_rules import ConsensusRules
from loop.domain.quality.agreement import Agreement, Same, agreement_of, same_label
from loop.domain.quality.answers import Answer, Cluster, clusters_of, votes_of
from loop.domain.quality.dawid_skene import fitted_labels, numbered
from loop.domain.routing import Reason

Floats = NDArray[np.float64]

# Of a reviewer of whom nothing is known: finds nine objects in ten, one box in ten is of nothing, and an edge lies
# off by a twentieth of the object's side.
UNKNOWN_RATE = 0.9
UNKNOWN_SPREAD = 0.05

_SURE = 0.999  # nobody is taken for better, nor by 1 - this for worse: no one outvotes any number of others
_ROUNDING = 1e-9  # of a probability; one of two alike who marked it makes exactly one half


class Verdict(StrEnum):
    MERGED = "merged"  # the merged shapes can stand as the truth
    ADJUDICATE = "adjudicate"  # a person has to decide


@dataclass(frozen=True, slots=True)
class Reliability:
    """How far a reviewer can be relied on, as golden items show (reviewer_quality.py).

    recall: by label, the share of objects that they mark at all, under whatever label. precision: by the label they
    give, the share of their boxes that are on an object. spread: root mean square of how far an edge lies off, as a
    share of the object's side. confusion: counts of golden shapes, by (true label, given label).
    Labels that are not there count as unknown.
    """

    recall: Mapping[str, float] = field(default_factory=dict)
    precision: Mapping[str, float] = field(default_factory=dict)
    spread: float = UNKNOWN_SPREAD
    confusion: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        rates = (*self.recall.values(), *self.precision.values())
        if not (self.spread > 0.0 and all(0.0 <= rate <= 1.0 for rate in rates)):
            raise Invalid("a reliability is out of range.", hint="Rates lie in [0, 1], a spread is above 0.")


_UNKNOWN = Reliability()


@dataclass(frozen=True, slots=True)
class Candidate:
    """What a cluster merges to. exists: the probability that there is an object at all; sure_of_label: that of the
    labels that were given this is the right one, if there is; 1 where nobody differs. cluster: who said what."""

    label: str
    box: Box
    exists: float
    sure_of_label: float
    cluster: Cluster

    @property
    def kept(self) -> bool:
        """More likely than not, or as likely."""
        return self.exists >= 0.5 - _ROUNDING

    def unsure(self, certainty: float) -> bool:
        """Whether it is there, or what it is, is less sure than this."""
        return max(self.exists, 1.0 - self.exists) < certainty or (self.kept and self.sure_of_label < certainty)


@dataclass(frozen=True, slots=True)
class Consensus:
    """candidates: of all clusters, from top to bottom. disputed: the numbers of those that a person should look at;
    reasons: why the verdict is what it is."""

    verdict: Verdict
    candidates: tuple[Candidate, ...]
    disputed: tuple[int, ...]
    agreement: Agreement
    reasons: tuple[Reason, ...]

    @property
    def merged(self) -> tuple[Candidate, ...]:
        """The objects that are there, more likely than not."""
        return tuple(candidate for candidate in self.candidates if candidate.kept)


def consensus_of(
    items: Sequence[Sequence[Answer]],
    *,
    labels: Sequence[str],
    reliabilities: Mapping[str, Reliability],
    rules: ConsensusRules,
    earlier: Sequence[Mapping[str, str]] = (),
    same: Same = same_label,
) -> tuple[Consensus, ...]:
    """Of each item of a batch: the more items, the better is known who confuses which labels.

    labels: of the project. reliabilities: by reviewer; who is not there counts as unknown. earlier: objects of other
    items, what each reviewer called it; they only tell of the reviewers, and labels that are gone do not count. same:
    what counts as agreement (agreement.py). Raises Invalid for labels of `items` that the project does not have, and
    reviewers who answered an item twice.
    """
    clusters = [clusters_of(answers, iou=rules.iou) for answers in items]
    reviewers = sorted({a.reviewer for answers in items for a in answers} | {name for said in earlier for name in said})
    flat = [cluster for item in clusters for cluster in item]
    known = {name: _counts(reliabilities[name], labels) for name in reviewers if name in reliabilities}
    votes = votes_of(flat, reviewers, labels)
    batch = np.concatenate([votes, numbered(earlier, reviewers, labels)])
    fit = fitted_labels(batch, labels=labels, reviewers=reviewers, known=known)
    named = zip(flat, *fit.chosen(votes), strict=True)
    merged = iter([_candidate(cluster, label, sure, reliabilities) for cluster, label, sure in named])
    return tuple(
        _decided(tuple(next(merged) for _ in own), agreement_of(answers, iou=rules.iou, same=same), rules)
        for own, answers in zip(clusters, items, strict=True)
    )


def existence(cluster: Cluster, label: str, reliabilities: Mapping[str, Reliability]) -> float:
    """The probability that a cluster is an object, by a weighted vote of those who looked.

    A mark weighs log(r / f) and its absence log((1 - r) / (1 - f)), which is the best way to weigh independent voters
    (Nitzan & Paroush 1982). r: the share of objects that they mark; f: how often they mark where there is none, for
    each object: r (1 - p) / p with their precision p. The word of a single person thus counts as their precision, and
    what somebody did not mark who misses nothing is hardly there.
    """
    odds = 0.0
    for name in cluster.reviewers:
        recall, false = _rates(reliabilities.get(name, _UNKNOWN), label)
        odds += math.log(recall / false)
    for name in cluster.missing:
        recall, false = _rates(reliabilities.get(name, _UNKNOWN), label)
        odds += math.log((1.0 - recall) / (1.0 - false))
    return float(1.0 / (1.0 + np.exp(-odds)))


def merged_box(cluster: Cluster, reliabilities: Mapping[str, Reliability]) -> Box:
    """The mean of the boxes, each weighted by 1 / spread² of who drew it: weighted boxes fusion (Solovyev et al. 2021)
    with reviewers for models, and the weights that give the mean of independent errors the least variance."""
    weights = np.array([reliabilities.get(name, _UNKNOWN).spread ** -2.0 for name in cluster.reviewers])
    x1, y1, x2, y2 = (weights @ cluster.boxes / weights.sum()).tolist()
    return x1, y1, x2, y2


def _rates(reliability: Reliability, label: str) -> tuple[float, float]:
    """How often they mark an object, and where there is none."""
    recall, precision = (
        min(max(rates.get(label, UNKNOWN_RATE), 1.0 - _SURE), _SURE)
        for rates in (reliability.recall, reliability.precision)
    )
    return recall, min(recall * (1.0 - precision) / precision, _SURE)


def _counts(reliability: Reliability, labels: Sequence[str]) -> Floats:
    return np.array([[reliability.confusion.get((true, given), 0.0) for given in labels] for true in labels])


def _candidate(cluster: Cluster, label: str, sure: float, reliabilities: Mapping[str, Reliability]) -> Candidate:
    return Candidate(
        label=label,
        box=merged_box(cluster, reliabilities),
        exists=existence(cluster, label, reliabilities),
        sure_of_label=sure,
        cluster=cluster,
    )


def _decided(candidates: tuple[Candidate, ...], agreement: Agreement, rules: ConsensusRules) -> Consensus:
    unsure = [number for number, one in enumerate(candidates) if one.unsure(rules.min_certainty)]
    apart = agreement.f1 < rules.min_agreement
    reasons = [_apart(agreement, rules)] if apart else []
    reasons += [_unsure(number, candidates[number], rules) for number in unsure]
    if not reasons:
        detail = f"every shape is sure enough; F1 between reviewers is {agreement.f1:.2f}"
        return Consensus(Verdict.MERGED, candidates, (), agreement, (Reason("agreed", detail),))
    open_ones = [n for n, one in enumerate(candidates) if n in unsure or (apart and not one.cluster.agreed)]
    return Consensus(Verdict.ADJUDICATE, candidates, tuple(open_ones), agreement, tuple(reasons))


def _apart(agreement: Agreement, rules: ConsensusRules) -> Reason:
    detail = f"F1 {agreement.f1:.2f} between reviewers is below {rules.min_agreement:g}"
    return Reason("agreement-below-threshold", detail)


def _unsure(number: int, candidate: Candidate, rules: ConsensusRules) -> Reason:
    marked, missing = candidate.cluster.reviewers, candidate.cluster.missing
    if max(candidate.exists, 1.0 - candidate.exists) < rules.min_certainty:
        who = f"marked by {', '.join(marked)}, not by {', '.join(missing) or 'nobody'}"
        return Reason("existence-unsure", f"shape {number}: {who}; there with probability {candidate.exists:.2f}")
    said = ", ".join(f"{label} ({name})" for name, label in zip(marked, candidate.cluster.labels, strict=True))
    return Reason("label-disputed", f"shape {number}: {said}; {candidate.label} with {candidate.sure_of_label:.2f}")
