"""Links and groups: which of the relations that several people drew between shapes are believed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loop.domain.quality.answers import Answer, Cluster, Match
from loop.domain.quality.ballots import NO, YES, Ballot, Elected, elected, kept
from loop.domain.truth import Shape


@dataclass(frozen=True, slots=True)
class LinkVote:
    """One link between two objects, by the numbers of their clusters. said: of each who marked both ends, YES or NO."""

    source: int
    type: str
    target: int
    said: Ballot

    @property
    def differs(self) -> bool:
        return len(set(self.said.values())) > 1


@dataclass(frozen=True, slots=True)
class Grouping:
    """group_of: of each object, the number of its group, from 0 in their order; None for none. unsure: the numbers of
    objects that people group differently."""

    group_of: tuple[int | None, ...]
    unsure: frozenset[int]


def link_question(link_type: str) -> str:
    return f"link/{link_type}"


def link_votes(clusters: Sequence[Cluster]) -> list[LinkVote]:
    """Of every link that somebody drew between two of the objects, in the order of these. A link to what is none of
    them is nobody's; who marked one end only has no say."""
    number = _numbers(clusters)
    drawn: dict[tuple[int, str, int], set[str]] = {}
    for source, cluster in enumerate(clusters):
        for name, shape in zip(cluster.reviewers, cluster.shapes, strict=True):
            for link in shape.links:
                if (target := number.get((name, link.to))) is not None:
                    drawn.setdefault((source, link.type, target), set()).add(name)
    votes = []
    for (source, link_type, target), names in sorted(drawn.items()):
        both = sorted({*clusters[source].reviewers} & {*clusters[target].reviewers})
        said = {name: YES if name in names else NO for name in both}
        votes.append(LinkVote(source, link_type, target, said))
    return votes


def elected_links(votes: Sequence[LinkVote], earlier: Mapping[str, Sequence[Ballot]]) -> list[Elected]:
    """Whether each is there. earlier: ballots of other items by question.

    Links that nobody draws are never asked about, so that yes is more frequent among ballots than among links. Each
    counts also turned round: a person is right as often with either word, and of two links one of which must be wrong
    the one is as sure as the other is not.
    """
    found: dict[int, Elected] = {}
    for link_type in sorted({vote.type for vote in votes}):
        own = [number for number, vote in enumerate(votes) if vote.type == link_type]
        ballots = [votes[number].said for number in own]
        before = list(earlier.get(link_question(link_type), ()))
        before += map(_turned, tuple(before))
        found |= zip(own, elected(ballots, choices=(YES, NO), earlier=before), strict=True)
    return [found[number] for number in range(len(votes))]


def link_ballots(votes: Sequence[LinkVote]) -> list[Ballot]:
    """To be kept, for who is right how often."""
    return [ballot for vote in votes for ballot in kept(link_question(vote.type), [vote.said])]


def grouped(clusters: Sequence[Cluster]) -> Grouping:
    """Two objects belong together where all who marked both say so, and through others. Whatever somebody says apart,
    and others together, is unsure, with all that hangs together by it."""
    if not any(shape.group for cluster in clusters for shape in cluster.shapes):
        return Grouping((None,) * len(clusters), frozenset())
    together, apart = _said_together(clusters)
    part = _parts(together)
    broken = {int(part[number]) for number in np.argwhere(apart & (part[:, None] == part)).flat}
    alone = [all(shape.group for shape in cluster.shapes) for cluster in clusters]
    sizes = np.bincount(part, minlength=len(clusters))
    order: dict[int, int] = {}
    group_of = [
        order.setdefault(int(own), len(order)) if sizes[own] > 1 or alone[number] else None
        for number, own in enumerate(part)
    ]
    return Grouping(tuple(group_of), frozenset(n for n, own in enumerate(part) if int(own) in broken))


def same_links(one: Answer, other: Answer, matches: Sequence[Match]) -> list[bool]:
    """Of each match, whether the links that lead from it have the same types and matched ends."""
    ours, theirs = (_links_of(one, [m.row for m in matches]), _links_of(other, [m.other for m in matches]))
    return [a == b and not any(target is None for _, target in a) for a, b in zip(ours, theirs, strict=True)]


def same_groups(one: Answer, other: Answer, matches: Sequence[Match]) -> list[bool]:
    """Of each match, whether it belongs together with the same of the others."""
    ours, theirs = (_mates(one, [m.row for m in matches]), _mates(other, [m.other for m in matches]))
    return [a == b for a, b in zip(ours, theirs, strict=True)]


def _turned(ballot: Ballot) -> Ballot:
    return {name: NO if word == YES else YES for name, word in ballot.items()}


def _numbers(clusters: Sequence[Cluster]) -> dict[tuple[str, str], int]:
    """Of each person and id of theirs, the object."""
    return {
        (name, shape.id): number
        for number, cluster in enumerate(clusters)
        for name, shape in zip(cluster.reviewers, cluster.shapes, strict=True)
        if shape.id
    }


def _said_together(clusters: Sequence[Cluster]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(n, n) each: that somebody says are of one group, and of none in common."""
    count = len(clusters)
    together, apart = np.zeros((count, count), dtype=bool), np.zeros((count, count), dtype=bool)
    for name in sorted({name for cluster in clusters for name in cluster.reviewers}):
        rows, groups = _groups_of(clusters, name)
        named = np.array([bool(group) for group in groups])
        alike = (np.array(groups)[:, None] == np.array(groups)) & named[:, None]
        together[np.ix_(rows, rows)] |= alike
        apart[np.ix_(rows, rows)] |= ~alike
    np.fill_diagonal(apart, val=False)
    return together, apart


def _groups_of(clusters: Sequence[Cluster], name: str) -> tuple[list[int], list[str]]:
    """Numbers of the objects that a person marked, and the groups they are in."""
    own: list[tuple[int, Shape]] = [
        (number, cluster.shapes[cluster.reviewers.index(name)])
        for number, cluster in enumerate(clusters)
        if name in cluster.reviewers
    ]
    return [number for number, _ in own], [shape.group for _, shape in own]


def _parts(together: NDArray[np.bool_]) -> NDArray[np.intp]:
    """(n,): of each object the first that it hangs together with."""
    part = np.arange(len(together))
    for row in range(len(together)):
        for other in np.flatnonzero(together[row, :row]):
            a, b = sorted((part[row], part[other]))
            part[part == b] = a
    return part


def _links_of(answer: Answer, rows: Sequence[int]) -> list[frozenset[tuple[str, int | None]]]:
    """Of each row, the type of each link and the number of the row it leads to; None where it is none of these."""
    number = {answer.shapes[row].id: at for at, row in enumerate(rows) if answer.shapes[row].id}
    return [frozenset((link.type, number.get(link.to)) for link in answer.shapes[row].links) for row in rows]


def _mates(answer: Answer, rows: Sequence[int]) -> list[frozenset[int]]:
    """Of each row, the numbers of all rows of its group; none without a group."""
    members: dict[str, list[int]] = {}
    for at, row in enumerate(rows):
        members.setdefault(answer.shapes[row].group, []).append(at)
    mates = {group: frozenset(own) for group, own in members.items() if group and len(own) > 1}
    return [mates.get(answer.shapes[row].group, frozenset()) for row in rows]
