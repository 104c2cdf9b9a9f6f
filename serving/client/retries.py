"""Which calls are sent again, and when. Pure: what is sent and waited for are steps, `now` and chance are arguments."""

import email.utils
import random
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import httpx

from serving.client.calls import Call, Pause
from serving.client.errors import ApiError, ServiceUnreachable, refusal

# The service has not begun with the request.
_NOT_ACTED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_NOT_ACTED_STATUS = frozenset({429, 503})
_MAYBE_ACTED_STATUS = frozenset({502, 504})
# The first request under the same Idempotency-Key is still at work: its answer comes to whoever asks again.
_IN_FLIGHT = "/problems/idempotency-in-flight"
# It would be said again: the caller's own time is over, or nobody has answered in it, which is an answer, too.
_SAID = frozenset({"/problems/deadline-passed", "/problems/review-pending"})


@dataclass(frozen=True, slots=True)
class Retries:
    """times: after the first try. deadline_s: for all tries together; but the first may take its timeout whatever this
    is, and so may calls that are known to take long. The pauses are random up to `first_wait_s`, then up to twice as
    much and so on up to `longest_wait_s` ("full jitter": clients that failed together do not come back together), on
    top of what the service asks for by Retry-After.
    """

    times: int = 5
    deadline_s: float = 60.0
    first_wait_s: float = 0.2
    longest_wait_s: float = 10.0

    def pause(self, tried: int, asked_s: float, chance: random.Random) -> float:
        """Seconds before the next try. tried: how often so far, from 1. asked_s: by Retry-After."""
        most = min(self.longest_wait_s, self.first_wait_s * 2 ** (tried - 1))
        return asked_s + chance.uniform(0.0, most)


@dataclass(frozen=True, slots=True)
class Attempt:
    """A step: send this now."""

    call: Call[Any]
    timeout_s: float


Outcome: TypeAlias = httpx.Response | httpx.TransportError


def persistently(
    call: Call[Any], url: str, timeout_s: float, retries: Retries, *, now: Callable[[], float], chance: random.Random
) -> Generator[Attempt | Pause, Any, bytes]:
    """Send the call until it is answered, or may not or need not be sent again: the body of the answer. Raises ApiError
    and ServiceUnreachable.

    To each Attempt what came of it is sent, an `Outcome`.
    """
    timeout_s = (timeout_s if call.timeout_s is None else call.timeout_s) + call.held_s
    over = now() + _patience_s(call, retries) + call.held_s
    left, tried = timeout_s, 0
    while True:
        outcome: Outcome = yield Attempt(call, min(timeout_s, left))
        tried += 1
        if isinstance(outcome, httpx.Response) and outcome.is_success:
            return outcome.content
        error = _error_of(outcome, url)
        pause = retries.pause(tried, _asked_s(outcome), chance)
        left = over - now() - pause
        if tried > retries.times or left <= 0 or not _may_repeat(call, outcome, error):
            raise error
        yield Pause(pause)


def _patience_s(call: Call[Any], retries: Retries) -> float:
    """What may take long at once may take as long in several tries."""
    if call.deadline_s is not None:
        return call.deadline_s
    return max(retries.deadline_s, call.timeout_s or 0.0)


def _may_repeat(call: Call[Any], outcome: Outcome, error: ApiError | ServiceUnreachable) -> bool:
    if not isinstance(error, ApiError):
        return call.repeatable or isinstance(outcome, _NOT_ACTED)
    if error.type in _SAID:
        return False
    if error.status in _NOT_ACTED_STATUS:
        return True
    return call.repeatable and (error.status in _MAYBE_ACTED_STATUS or error.type == _IN_FLIGHT)


def _error_of(outcome: Outcome, url: str) -> ApiError | ServiceUnreachable:
    if isinstance(outcome, httpx.Response):
        return refusal(outcome)
    hint = "Is it running? Start it with `askance up`, or name another with --url."
    error = ServiceUnreachable(f"no answer from {url}: {str(outcome) or type(outcome).__name__}.", hint=hint)
    error.__cause__ = outcome
    return error


def _asked_s(outcome: Outcome) -> float:
    """Retry-After: seconds, or a date."""
    text = outcome.headers.get("retry-after", "") if isinstance(outcome, httpx.Response) else ""
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        return max((email.utils.parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError):  # no date, or one without a zone
        return 0.0
