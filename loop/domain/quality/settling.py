"""What becomes of the answers of several people to one item: the truth, or a question to another person."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import combinations

import numpy as np

from loop.domain.policy.quality_rules import ConsensusRules
from loop.domain.quality.agreement import PairAgreement, pair_agreements, same_label
from loop.domain.quality.answers import Answer, Cluster
from loop.domain.quality.attributes import Attributes
from loop.domain.quality.ballots import Ballot, by_question, of_labels
from loop.domain.quality.consensus import Candidate, Consensus, Reliability, Verdict, consensus_of
from loop.domain.quality.merging import Merger, ballots_of_all, placed_box
from loop.domain.quality.sameness import is_plain_box, is_still, read_answer, sameness
from loop.domain.review.tasks import Submission
from loop.domain.routing import Reason
from loop.domain.truth import Shape

_NO_ATTRIBUTES: Attributes = {}
_ONE_PIXEL = 1.0
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
    """Two people on an item: F1 in [0, 1], and the mean IoU of the regions that they both marked, None without."""

    reviewers: tuple[str, str]
    f1: float
    iou: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """shapes: the truth; None where another person has to decide. merged: what that one is shown; None where answers
    cannot be merged (clips). f1, iou: as of Pair, the mean over pairs and over matches. votes: of each object that two
    or more marked, what each called it, and what each said of its attributes and links (ballots.py)."""

    shapes: tuple[Shape, ...] | None
    merged: Merged | None
    f1: float
    iou: float | None
    pairs: tuple[Pair, ...]
    votes: tuple[Ballot, ...]
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
    votes: tuple[Ballot, ...]
    reasons: tuple[Reason, ...]
    merged: Merged | None
    created_at: datetime


def unanimous(answers: Sequence[Submission], attributes: Attributes = _NO_ATTRIBUTES) -> Settlement | None:
    """Of answers that are the same, for which nothing need be known of the people, and nothing compared; None of
    others."""
    shapes = answers[0].shapes
    if any(one.shapes != shapes for one in answers):
        return None
    people = sorted(one.reviewer for one in answers)
    iou = 1.0 if any(shape.type.is_region for shape in shapes) else None
    return Settlement(
        shapes=shapes,
        merged=None,
        f1=1.0,
        iou=iou,
        pairs=tuple(Pair(reviewers=pair, f1=1.0, iou=iou) for pair in combinations(people, 2)),
        votes=tuple(ballots_of_all(people, shapes, attributes)) if _mergeable(answers[:1]) else (),
        reasons=(_SAME,),
    )


def settled(
    answers: Sequence[Submission],
    *,
    labels: Sequence[str],
    reliabilities: Mapping[str, Reliability],
    rules: ConsensusRules,
    earlier: Sequence[Ballot] = (),
    refuses: Refuses = lambda shapes: "",
    attributes: Attributes = _NO_ATTRIBUTES,
    reach: float = _ONE_PIXEL,
) -> Settlement:
    """Of two or more answers of one round, oldest first, by different people, none of them a skip.

    The same answers stand. Else they are merged, where every shape and all that is said of it is sure enough and no
    rule forbids the whole; everything else is for another person, and so are clips. labels: of the project. earlier:
    votes of other settlements. attributes: of the recipe; what is not among them is left out. reach: of the item, in
    pixels (likeness.py).
    """
    if stand := unanimous(answers, attributes):
        return stand
    if not _mergeable(answers):
        return _of_clip(answers, rules)
    plain = _plain(answers)
    read = [
        answer_of(one.reviewer, one.shapes) if plain else read_answer(one.reviewer, one.shapes, reach)
        for one in answers
    ]
    same = same_label if plain else sameness(attributes)
    open_ = _undecided(pair_agreements(read, iou=rules.iou, same=same), compared=True)
    (found,) = consensus_of(
        [read], labels=labels, reliabilities=reliabilities, rules=rules, earlier=of_labels(earlier), same=same
    )
    open_ = replace(open_, votes=_votes([candidate.cluster for candidate in found.candidates]))
    if plain:
        return _stands_or_asks(open_, _merged_boxes(found), found.reasons, decided=_decided(found), refuses=refuses)
    merger = Merger(reliabilities, rules, attributes, reach, by_question(earlier))
    return _with_details(open_, found, merger, refuses)


def _with_details(open_: Settlement, found: Consensus, merger: Merger, refuses: Refuses) -> Settlement:
    """Of answers that are more than boxes."""
    details, ballots = merger.merged(_shown(found))
    unsure = [one for one in details if one.reasons and found.candidates[one.number].kept]
    apart = found.agreement.f1 < merger.rules.min_agreement
    disputed = {
        *found.disputed,
        *(one.number for one in unsure),
        *(one.number for one in details if apart and one.differs),
    }
    merged = Merged(
        shapes=tuple(one.shape for one in details),
        disputed=tuple(one.shape.id for one in details if one.number in disputed),
    )
    reasons = tuple(reason for one in unsure for reason in one.reasons)
    if not _decided(found):
        reasons = (*found.reasons, *reasons)
    decided = _decided(found) and not unsure
    open_ = replace(open_, votes=(*open_.votes, *ballots))
    return _stands_or_asks(open_, merged, reasons or found.reasons, decided=decided, refuses=refuses)


def _stands_or_asks(
    open_: Settlement, merged: Merged, reasons: tuple[Reason, ...], *, decided: bool, refuses: Refuses
) -> Settlement:
    shapes = _without_needless_ids(merged.shapes)
    if not decided:
        return replace(open_, merged=merged, reasons=reasons)
    if why := refuses(shapes):
        return replace(open_, merged=merged, reasons=(Reason("rules-broken", why),))
    return replace(open_, shapes=shapes, reasons=reasons)


def _decided(found: Consensus) -> bool:
    return found.verdict is Verdict.MERGED


def _of_clip(answers: Sequence[Submission], rules: ConsensusRules) -> Settlement:
    """Answers that differ, in frames or with tracks."""
    read = [answer_of(one.reviewer, one.shapes) for one in answers]
    open_ = _undecided(pair_agreements(read, iou=rules.iou), compared=any(len(one) for one in read))
    reason = Reason("not-mergeable", "answers with frames or tracks differ; such are never merged")
    return replace(open_, reasons=(reason,))


def _plain(answers: Sequence[Submission]) -> bool:
    return all(is_plain_box(shape) for one in answers for shape in one.shapes)


def _mergeable(answers: Sequence[Submission]) -> bool:
    return all(is_still(shape) for one in answers for shape in one.shapes)


def answer_of(reviewer: str, shapes: Sequence[Shape]) -> Answer:
    """What is compared between people: regions, by their boxes."""
    regions = [shape for shape in shapes if shape.type.is_region]
    boxes = np.array([shape.box for shape in regions], dtype=np.float64).reshape(-1, 4)
    return Answer(reviewer, tuple(shape.label for shape in regions), boxes)


def _undecided(pairs: Sequence[PairAgreement], *, compared: bool) -> Settlement:
    """compared: whether there was a shape to compare, or all is the same anyway."""
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


def _votes(clusters: Sequence[Cluster]) -> tuple[Ballot, ...]:
    return tuple(dict(zip(one.reviewers, one.labels, strict=True)) for one in clusters if len(one.reviewers) > 1)


def _shown(found: Consensus) -> dict[int, Candidate]:
    """All that is there or is disputed, by number, from top to bottom."""
    return {
        number: candidate
        for number, candidate in enumerate(found.candidates)
        if candidate.kept or number in found.disputed
    }


def _merged_boxes(found: Consensus) -> Merged:
    return Merged(
        shapes=tuple(
            replace(placed_box(candidate), id=f"m{number + 1}") for number, candidate in _shown(found).items()
        ),
        disputed=tuple(f"m{number + 1}" for number in found.disputed),
    )


def _without_needless_ids(shapes: Sequence[Shape]) -> tuple[Shape, ...]:
    """Only what a link leads to needs one."""
    linked = {link.to for shape in shapes for link in shape.links}
    return tuple(shape if shape.id in linked else replace(shape, id="") for shape in shapes)
