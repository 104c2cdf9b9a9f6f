"""What people said of shapes beside their labels, one question at a time, and which of it is believed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from loop.domain.quality.dawid_skene import fitted_labels, numbered

# What each reviewer said to one question, by reviewer.
Ballot = Mapping[str, str]

# The key under which a kept ballot has its question; one without it is of a label. No reviewer is called so.
QUESTION = ""

YES, NO = "yes", "no"
NOTHING = ""  # no value


@dataclass(frozen=True, slots=True)
class Elected:
    """choice: one that somebody gave. sure: in (0, 1], how probably it is the right one; 1 where nobody differs."""

    choice: str
    sure: float


def elected(ballots: Sequence[Ballot], *, choices: Sequence[str], earlier: Sequence[Ballot] = ()) -> list[Elected]:
    """Of ballots on one question, by Dawid and Skene, as labels are (dawid_skene.py). Who gives which wrong answer is
    learned from `earlier` ones alone: few ballots would confirm themselves, and of three who all differ one would win.

    choices: at least all that `ballots` have, in an order of their own; equally likely ones are taken by it.
    """
    if all(len(set(ballot.values())) == 1 for ballot in ballots):
        return [Elected(next(iter(ballot.values())), 1.0) for ballot in ballots]
    reviewers = sorted({name for ballot in (*ballots, *earlier) for name in ballot})
    fit = fitted_labels(numbered(earlier, reviewers, choices), labels=choices, reviewers=reviewers)
    found = zip(*fit.chosen(numbered(ballots, reviewers, choices)), strict=True)
    return [
        Elected(choice, sure if len(set(ballot.values())) > 1 else 1.0)
        for (choice, sure), ballot in zip(found, ballots, strict=True)
    ]


def kept(question: str, ballots: Sequence[Ballot]) -> list[Ballot]:
    """To be kept with the question; those of one person tell nothing of anybody."""
    return [{QUESTION: question, **ballot} for ballot in ballots if len(ballot) > 1]


def of_labels(ballots: Sequence[Ballot]) -> list[Ballot]:
    return [ballot for ballot in ballots if QUESTION not in ballot]


def by_question(ballots: Sequence[Ballot]) -> dict[str, list[Ballot]]:
    """Those of attributes and links, as they were before they were kept."""
    found: dict[str, list[Ballot]] = {}
    for ballot in ballots:
        if QUESTION in ballot:
            said = {name: choice for name, choice in ballot.items() if name != QUESTION}
            found.setdefault(ballot[QUESTION], []).append(said)
    return found
