"""Shapes with all that people said of them, merged; and what of it is unsure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from loop.domain.policy.quality_rules import ConsensusRules
from loop.domain.quality.attributes import (
    Attributes,
    Believed,
    Given,
    ballots_of,
    believed,
    given_value,
    question_of,
)
from loop.domain.quality.ballots import YES, Ballot, kept
from loop.domain.quality.consensus import Candidate, Reliability
from loop.domain.quality.likeness import likeness, medoid, middle_point
from loop.domain.quality.relations import (
    elected_links,
    grouped,
    link_ballots,
    link_question,
    link_votes,
)
from loop.domain.recipes.ontology import Attribute
from loop.domain.routing import Reason
from loop.domain.truth import Geometry, Link, Shape, drawn

_UNKNOWN = Reliability()


@dataclass(frozen=True, slots=True)
class MergedShape:
    """number: of its candidate. shape: with an id. reasons: what is said of it that a person has to decide. differs:
    whether people say different things of it at all, its label aside."""

    number: int
    shape: Shape
    reasons: tuple[Reason, ...]
    differs: bool


@dataclass(frozen=True, slots=True)
class Merger:
    """attributes: those of the recipe. reach: of the item, in pixels (likeness.py). earlier: ballots of other items by
    question (ballots.py)."""

    reliabilities: Mapping[str, Reliability]
    rules: ConsensusRules
    attributes: Attributes
    reach: float
    earlier: Mapping[str, Sequence[Ballot]]

    def merged(self, candidates: Mapping[int, Candidate]) -> tuple[list[MergedShape], list[Ballot]]:
        """Of candidates with shapes, by their numbers. And what each said of whatever several marked, to be kept."""
        shapes = {number: self._placed(one, f"m{number + 1}") for number, one in candidates.items()}
        found = {number: MergedShape(number, shape, (), differs=False) for number, shape in shapes.items()}
        ballots = [*self._attribute(candidates, found), *self._link(candidates, found)]
        self._group(candidates, found)
        return list(found.values()), ballots

    # --- where ---------------------------------------------------------------------------------------------

    def _placed(self, candidate: Candidate, name: str) -> Shape:
        """Of those who gave the label that is believed, the most frequent geometry."""
        said = list(_of_label(candidate))
        types = [shape.type for _, shape in said]
        geometry = min(types, key=lambda one: (-types.count(one), one))
        same = [(who, shape) for who, shape in said if shape.type is geometry]
        return replace(_PLACES[geometry](self, candidate, same), id=name)

    def _box(self, candidate: Candidate, _: Sequence[tuple[str, Shape]]) -> Shape:
        return placed_box(candidate)

    def _point(self, candidate: Candidate, same: Sequence[tuple[str, Shape]]) -> Shape:
        """Weighted by 1 / spread, which suits a sum of distances as 1 / spread² does one of squares."""
        points = np.array([shape.points[0] for _, shape in same], dtype=np.float64)
        weights = np.array([1.0 / self._spread(who) for who, _ in same])
        return drawn(Geometry.POINT, candidate.label, [middle_point(points, weights)])

    def _outline(self, candidate: Candidate, same: Sequence[tuple[str, Shape]]) -> Shape:
        """One that somebody drew, since corners have no mean: that which is most like the others; of several, that of
        who draws most exactly."""
        alike = np.array([[self._likeness(one, other) for _, other in same] for _, one in same])
        likeliest = [one for one, best in zip(same, medoid(alike), strict=True) if best]
        _, shape = min(likeliest, key=lambda one: (self._spread(one[0]), one[0]))
        return drawn(shape.type, candidate.label, shape.points)

    def _likeness(self, one: Shape, other: Shape) -> float:
        # Both are outlines, for which no box is asked.
        return 1.0 if one.points == other.points else likeness(one, other, self.reach, 0.0)

    def _spread(self, who: str) -> float:
        return self.reliabilities.get(who, _UNKNOWN).spread

    # --- what is said of it ----------------------------------------------------------------------------------

    def _attribute(self, candidates: Mapping[int, Candidate], found: dict[int, MergedShape]) -> list[Ballot]:
        ballots: list[Ballot] = []
        for (label, name), attribute in self.attributes.items():
            own = {number: one for number, one in candidates.items() if one.label == label}
            given = [{who: given_value(s.attributes, name) for who, s in _of_label(one)} for one in own.values()]
            if all(value is None for values in given for value in values.values()):
                continue
            ballots += ballots_of(label, attribute, given)
            earlier = self.earlier.get(question_of(label, name), ())
            for number, values, one in zip(own, given, believed(attribute, given, earlier=earlier), strict=True):
                reasons = [_disputed(number, attribute, values, one)] if self._unsure(one.sure) else []
                value = {} if one.value is None else {name: one.value}
                shape = found[number].shape
                shape = replace(shape, attributes={**shape.attributes, **value})
                found[number] = _more(found[number], shape, reasons, differs=one.differs)
        return ballots

    def _link(self, candidates: Mapping[int, Candidate], found: dict[int, MergedShape]) -> list[Ballot]:
        numbers = list(candidates)
        votes = link_votes([candidates[number].cluster for number in numbers])
        for vote, one in zip(votes, elected_links(votes, self.earlier), strict=True):
            source, target = numbers[vote.source], numbers[vote.target]
            who = ", ".join(f"{said} ({name})" for name, said in vote.said.items())
            told = f"shape {source}: {vote.type} to shape {target}: {who}; {one.choice} with {one.sure:.2f}"
            reasons = [Reason("link-disputed", told)] if self._unsure(one.sure) else []
            shape = found[source].shape
            if one.choice == YES:
                shape = replace(shape, links=(*shape.links, Link(vote.type, found[target].shape.id)))
            found[source] = _more(found[source], shape, reasons, differs=vote.differs)
        return link_ballots(votes)

    def _group(self, candidates: Mapping[int, Candidate], found: dict[int, MergedShape]) -> None:
        grouping = grouped([one.cluster for one in candidates.values()])
        for place, (number, group) in enumerate(zip(candidates, grouping.group_of, strict=True)):
            unsure = place in grouping.unsure
            reasons = [Reason("group-disputed", f"shape {number}: people group it differently")] if unsure else []
            shape = found[number].shape
            shape = shape if group is None else replace(shape, group=f"g{group + 1}")
            found[number] = _more(found[number], shape, reasons, differs=unsure)

    def _unsure(self, sure: float) -> bool:
        return sure < self.rules.min_certainty


_PLACES = {
    Geometry.BOX: Merger._box,
    Geometry.POINT: Merger._point,
    Geometry.POLYGON: Merger._outline,
    Geometry.POLYLINE: Merger._outline,
}


def placed_box(candidate: Candidate) -> Shape:
    boxes = candidate.cluster.boxes
    if set(candidate.cluster.labels) == {candidate.label} and (boxes == boxes[0]).all():
        x1, y1, x2, y2 = boxes[0].tolist()
        return Shape(candidate.label, (x1, y1, x2, y2))  # a mean of equal numbers may differ in the last bit
    return Shape(candidate.label, candidate.box)


def ballots_of_all(reviewers: Sequence[str], shapes: Sequence[Shape], attributes: Attributes) -> list[Ballot]:
    """To be kept of people who all gave these shapes."""

    def everybody(value: Any) -> dict[str, Any]:
        return dict.fromkeys(sorted(reviewers), value)

    ballots: list[Ballot] = [everybody(shape.label) for shape in shapes]
    for (label, name), attribute in attributes.items():
        values = [given_value(shape.attributes, name) for shape in shapes if shape.label == label]
        if any(value is not None for value in values):
            ballots += ballots_of(label, attribute, [everybody(value) for value in values])
    links = [link for shape in shapes for link in shape.links]
    return [*ballots, *(ballot for link in links for ballot in kept(link_question(link.type), [everybody(YES)]))]


def _of_label(candidate: Candidate) -> Iterator[tuple[str, Shape]]:
    """Who gave the label that is believed, and what they drew: others saw another thing there."""
    for who, shape in zip(candidate.cluster.reviewers, candidate.cluster.shapes, strict=True):
        if shape.label == candidate.label:
            yield who, shape


def _more(merged: MergedShape, shape: Shape, reasons: Sequence[Reason], *, differs: bool) -> MergedShape:
    return MergedShape(merged.number, shape, (*merged.reasons, *reasons), merged.differs or differs)


def _disputed(number: int, attribute: Attribute, given: Given, found: Believed) -> Reason:
    said = ", ".join(f"{_told(value)} ({who})" for who, value in given.items())
    detail = f"shape {number}: {attribute.name}: {said}; {_told(found.value)} with {found.sure:.2f}"
    return Reason("attribute-disputed", detail)


def _told(value: object) -> str:
    """A text may be long."""
    return "none" if value is None else str(value)[:80]
