"""Calls of functions: one on its way through the durable queue, what is sent to a worker, and what comes back.

    pending ──done──► done
     ▲ └─fails─► pending, due later
     │              └─the last try fails──► failed
     └─a worker dies: its claim runs out

Whoever runs a call has claimed it under a new epoch; what came of it counts only under that epoch. A process that dies
leaves the claim to run out, and the call is run again: at least once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from loop.domain.item import ImageFacts, Item
from loop.domain.truth import Shape

MOST_SHAPES = 5_000  # as of an answer
MOST_MESSAGES = 20
LONGEST_MESSAGE = 500


class CallState(StrEnum):
    PENDING = "pending"  # to be run when it is due
    DONE = "done"
    FAILED = "failed"  # given up


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionCall:
    """subject: of one, a function is called once on a trigger. body: of the event. error: of the last attempt.
    messages: of the run that was done. epoch: counts claims."""

    id: str
    project_id: str
    function: str
    trigger: str
    subject: str
    item_digest: str | None
    actor: str
    body: Mapping[str, Any]
    created_at: datetime
    due_at: datetime
    state: CallState = CallState.PENDING
    attempts: int = 0
    epoch: int = 0
    claimed_until: datetime | None = None
    finished_at: datetime | None = None
    error: str = ""
    messages: tuple[str, ...] = ()


def done(call: FunctionCall, messages: Sequence[str], now: datetime) -> FunctionCall:
    return replace(
        call,
        state=CallState.DONE,
        attempts=call.attempts + 1,
        claimed_until=None,
        finished_at=now,
        error="",
        messages=tuple(messages),
    )


def failed(call: FunctionCall, why: str, now: datetime, pauses: Sequence[float]) -> FunctionCall:
    """pauses: seconds before each retry; when they are used up, the call is given up."""
    tried = replace(call, attempts=call.attempts + 1, claimed_until=None, error=why[:LONGEST_MESSAGE])
    if tried.attempts > len(pauses):
        return replace(tried, state=CallState.FAILED, finished_at=now)
    return replace(tried, due_at=now + timedelta(seconds=pauses[call.attempts]))


# --- to a worker, and back -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a worker makes a `Context` of."""

    function: str
    project_id: str
    trigger: str
    event: Mapping[str, Any] = field(default_factory=dict)
    item: Item | None = None
    shapes: tuple[Shape, ...] = ()
    selected: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)


class Ending(StrEnum):
    DONE = "done"
    MISSING = "missing"  # no package registers it here, or it cannot be imported
    RAISED = "raised"
    TIMED_OUT = "timed_out"  # and its process was ended
    CRASHED = "crashed"  # its process ended
    BAD_RESULT = "bad_result"  # what it returned cannot be used
    REFUSED = "refused"  # the recipe, or the item's state, does not allow what it returned
    UNAVAILABLE = "unavailable"  # it was not run


@dataclass(frozen=True, slots=True)
class NewImage:
    """An image that was looked at, whole."""

    content: bytes
    facts: ImageFacts


@dataclass(frozen=True, slots=True)
class Returned:
    """A `Result` that was looked at: bounded, and of plain values. Shapes are not judged by a recipe yet."""

    shapes: tuple[Shape, ...] | None = None
    messages: tuple[str, ...] = ()
    image: NewImage | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What came of one run. why: in words, "" where it is done. package: name and version, "" where it is unknown.
    seconds: as whoever asked waited for it."""

    ending: Ending
    why: str = ""
    returned: Returned = Returned()
    package: str = ""
    seconds: float = 0.0
