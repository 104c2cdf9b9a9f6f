"""Which labels go back to people before a training learns from them: a part of a project's policy, and its decision."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from loop.domain.errors import Invalid

MOST_RECHECKED = 1000
_MOST_SHARE = 0.1  # of the images to train on: what a model doubts is not always wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelRules:
    """recheck: so many items, those whose ground truth is doubted the most, people look at again before each training,
    which does without them; in [0, 1000], 0: none."""

    recheck: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.recheck <= MOST_RECHECKED:
            raise Invalid(
                f"recheck is {self.recheck}.",
                hint=f"Give a number of items from 0 (none) to {MOST_RECHECKED}.",
                field="recheck",
            )


def still_held(asked: Mapping[str, int], versions: Mapping[str, int], with_people: Collection[str]) -> list[str]:
    """Items that people were asked for before an earlier training and have not answered since. asked: by digest, the
    version of the truth that was doubted; versions: of the truth that each item to train on has now; with_people: those
    that somebody is asked for. One whose task was ended without an answer is held no longer."""
    return [one for one, version in asked.items() if versions.get(one) == version and one in with_people]


def room(recheck: int, to_train_on: int, held: Sequence[str]) -> int:
    """How many more items a training may do without: with those that are held, at most a tenth of its images."""
    return max(min(recheck, int(_MOST_SHARE * to_train_on) - len(held)), 0)
