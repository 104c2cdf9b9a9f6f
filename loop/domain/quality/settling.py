"""What becomes of the answers of several people to one item: the truth, or a question to another person."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from loop.domain.geometry import Box
from loop.domain.policy.quality_rules import ConsensusRules
from loop.domain.quality.agreement import PairAgreement, pair_agreements
from loop.domain.quality.answers import Answer, Cluster, clusters_of
from loop.domain.quality.consensus import Candidate, Consensus, Reliability, Verdict, consensus_of
from loop.domain.review.tasks import Submission, is_plain
from loop.domain.routing import Reason
from loop.domain.truth import Geometry, Shape

_UNKNOWN = Reliability()
_SAME = Reason("same", "all answers are the same")

# Why merged shapes may not stand by the recipe's rules that refuse answers; "" where they may.
Refuses = Callable[[Sequence[Shape]], str]


@dataclass(frozen=True, slots=True)
class Merged:
    """What several answers come to, each shape with an id. disputed: ids of those that somebody has to look at; some of
    them are more likely not there."""

    shapes: tuple[Shape, ...]
    disputed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two people on an item: F1 in [0, 1], and the mean IoU of what they both marked, None without."""

    reviewers: tuple[str, str]
    f1: float
    iou: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """shapes: the truth; None where another person has to decide. merged: what that one is shown; None where answers
    cannot be merged (points, attributes, links). f1, iou: as of Pair, the mean over pairs and over matches. votes: of
    each object that two or more marked, what each called it."""

    shapes: tuple[Shape, ...] | None
    merged: Merged | None
    f1: float
    iou: float | None
    pairs: tuple[Pair, ...]
    votes: tuple[Mapping[str, str], ...]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkAgreement:
    """A settlement as it is kept. reviewers: who answered, by name. merged: where it was asked of another person."""

    work_id: str
    round: int
    project_id: str
    item_digest: str
    reviewers: tuple[str, ...]
    adjudicated: bool
    f1: float
    iou: float | None
    pairs: tuple[Pair, ...]
    votes: tuple[Mapping[str, str], ...]
    reasons: tuple[Reason, ...]
    merged: Merged | None
    created_at: datetime


def unanimous(answers: Sequence[Submission], rules: ConsensusRules) -> Settlement | None:
    """Of answers that are the same, for which nothing need be known of the people; None of others."""
    if any(one.shapes != answers[0].shapes for one in answers):
        return None
    read = _read(answers)
    found = _undecided(pair_agreements(read, iou=rules.iou), compared=True)
    votes = _votes(clusters_of(read, iou=rules.iou)) if _mergeable(answers) else ()
    return replace(found, shapes=answers[0].shapes, votes=votes, reasons=(_SAME,))


def settled(
    answers: Sequence[Submission],
    *,
    labels: Sequence[str],
    reliabilities: Mapping[str, Reliability],
    rules: ConsensusRules,
    earlier: Sequence[Mapping[str, str]] = (),
    refuses: Refuses = lambda shapes: "",
) -> Settlement:
    """Of two or more answers of one round, oldest first, by different people, none of them a skip.

    The same answers stand. Else boxes and polygons are merged, where every one is sure enough and no rule forbids the
    whole; everything else is for another person. labels, earlier: as for `consensus_of`.
    """
    if stand := unanimous(answers, rules):
        return stand
    read = _read(answers)
    open_ = _undecided(pair_agreements(read, iou=rules.iou), compared=any(len(one) for one in read))
    if not _mergeable(answers):
        reason = Reason("not-mergeable", "answers with points, attributes or links differ; such are never merged")
        return replace(open_, reasons=(reason,))
    (found,) = consensus_of([read], labels=labels, reliabilities=reliabilities, rules=rules, earlier=earlier)
    open_ = replace(open_, votes=_votes([candidate.cluster for candidate in found.candidates]))
    merged = _merged(found, answers, reliabilities)
    shapes = tuple(replace(shape, id="") for shape in merged.shapes)
    if found.verdict is Verdict.ADJUDICATE:
        return replace(open_, merged=merged, reasons=found.reasons)
    if why := refuses(shapes):
        return replace(open_, merged=merged, reasons=(Reason("rules-broken", why),))
    return replace(open_, shapes=shapes, reasons=found.reasons)


def _read(answers: Sequence[Submission]) -> list[Answer]:
    return [answer_of(one.reviewer, one.shapes) for one in answers]


def _mergeable(answers: Sequence[Submission]) -> bool:
    return all(is_plain(shape) for one in answers for shape in one.shapes)


def answer_of(reviewer: str, shapes: Sequence[Shape]) -> Answer:
    """What is compared between people: regions, by their boxes."""
    regions = [shape for shape in shapes if shape.type.is_region]
    boxes = np.array([shape.box for shape in regions], dtype=np.float64).reshape(-1, 4)
    return Answer(reviewer, tuple(shape.label for shape in regions), boxes)


def _undecided(pairs: Sequence[PairAgreement], *, compared: bool) -> Settlement:
    """compared: whether there was a region to compare, or all is the same anyway."""
    return Settlement(
        shapes=None,
        merged=None,
        f1=float(np.mean([pair.f1 for pair in pairs])) if compared else 0.0,
        iou=_mean([iou for pair in pairs for iou in pair.ious]),
        pairs=tuple(Pair(reviewers=pair.reviewers, f1=pair.f1, iou=_mean(pair.ious)) for pair in pairs),
        votes=(),
        reasons=(),
    )


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _votes(clusters: Sequence[Cluster]) -> tuple[Mapping[str, str], ...]:
    return tuple(dict(zip(one.reviewers, one.labels, strict=True)) for one in clusters if len(one.reviewers) > 1)


def _merged(found: Consensus, answers: Sequence[Submission], reliabilities: Mapping[str, Reliability]) -> Merged:
    """All that is there or is disputed, from top to bottom."""
    drawn = {(one.reviewer, shape.label, shape.box): shape for one in answers for shape in one.shapes}
    shown = [
        (number, candidate)
        for number, candidate in enumerate(found.candidates)
        if candidate.kept or number in found.disputed
    ]
    return Merged(
        shapes=tuple(
            replace(_shape_of(candidate, drawn, reliabilities), id=f"m{number + 1}") for number, candidate in shown
        ),
        disputed=tuple(f"m{number + 1}" for number in found.disputed),
    )


def _shape_of(
    candidate: Candidate,
    drawn: Mapping[tuple[str, str, Box], Shape],
    reliabilities: Mapping[str, Reliability],
) -> Shape:
    """The merged box; of polygons, whose corners have no mean, that of the person who draws most exactly."""
    members = [
        (name, drawn[name, label, box])
        for name, label, box in zip(
            candidate.cluster.reviewers,
            candidate.cluster.labels,
            map(tuple, candidate.cluster.boxes.tolist()),
            strict=True,
        )
        if label == candidate.label
    ]
    polygons = [(name, shape) for name, shape in members if shape.type is Geometry.POLYGON]
    if polygons:
        return min(polygons, key=lambda pair: (reliabilities.get(pair[0], _UNKNOWN).spread, pair[0]))[1]
    if len({shape.box for _, shape in members}) == 1 and len(members) == len(candidate.cluster.reviewers):
        return Shape(candidate.label, members[0][1].box)  # a mean of equal numbers may differ in the last bit
    return Shape(candidate.label, candidate.box)
