"""A call for a prediction that waits for a person: how long it may, and what it gets where nobody answers in time."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from loop.domain.errors import Invalid

LONGEST_WAIT = 3600.0  # seconds


class Review(StrEnum):
    """Whether a caller wants a person to look."""

    AUTO = "auto"  # as the policy routes
    ALWAYS = "always"  # whatever the risk
    NEVER = "never"  # whatever the risk; the audit lottery still draws


class Fallback(StrEnum):
    """What a call gets whose deadline passes before a person has answered."""

    FLAG = "flag"  # what the model says, provisional
    WITHHOLD = "withhold"  # nothing of what the model says
    ERROR = "error"


class Ending(StrEnum):
    """What became of the work of people on a prediction."""

    SETTLED = "settled"  # an answer brought the item its truth
    SKIPPED = "skipped"  # it ended without one


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRules:
    """max_wait_seconds: the longest that a call may wait, in [1, 3600]. min_review_seconds: a task that a caller waits
    for is not handed out when less time is left than this, or than people usually need, in [0, 3600]."""

    fallback: Fallback = Fallback.FLAG
    max_wait_seconds: float = 300.0
    min_review_seconds: float = 10.0

    def __post_init__(self) -> None:
        if not (1.0 <= self.max_wait_seconds <= LONGEST_WAIT and 0.0 <= self.min_review_seconds <= LONGEST_WAIT):
            raise Invalid(
                "these rules for calls that wait cannot be used.",
                hint="Give max_wait_seconds in [1, 3600] and min_review_seconds in [0, 3600].",
            )

    def checked_wait(self, seconds: float) -> float:
        """`seconds` if a call may wait so long; raises Invalid."""
        if math.isfinite(seconds) and 0.0 <= seconds <= self.max_wait_seconds:
            return seconds
        raise Invalid(
            f"a call cannot wait {seconds:g} seconds.",
            hint=f"Give wait from 0 to {self.max_wait_seconds:g}, which is gate.max_wait_seconds of the policy; then "
            "poll GET …/predictions/{id}?wait=… for longer.",
            wait=seconds,
        )


def gate_of(document: Mapping[str, Any]) -> GateRules:
    """From plain values, as `dataclasses.asdict` gives them; what is left out has its default. Raises Invalid."""
    fallback = document.get("fallback", Fallback.FLAG)
    if fallback not in list(Fallback):
        raise Invalid(f"gate.fallback is {fallback!r}.", hint=f"Use one of: {', '.join(Fallback)}.", field="fallback")
    return GateRules(**{**document, "fallback": Fallback(fallback)})
