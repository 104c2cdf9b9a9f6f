"""What can go wrong in the domain's own words.

Each error carries a stable `code` (the last part of the problem type), the ids concerned, and `hint`:
what the person who caused it should do next. Status codes are not known here; `serving/api/errors.py`
maps classes to HTTP, `loop/cli.py` prints one line.
"""

from collections.abc import Mapping
from typing import ClassVar


class AskanceError(Exception):
    """Base of every error a user can cause or must know of."""

    code: ClassVar[str] = "error"
    title: ClassVar[str] = "Something went wrong"

    def __init__(self, detail: str, *, hint: str = "", **ids: object) -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint
        self.ids: Mapping[str, object] = ids

    def __str__(self) -> str:
        return f"{self.detail} {self.hint}".strip()


# --- what was asked for does not exist, or may not be asked for -------------------------------


class NotFound(AskanceError):
    code, title = "not-found", "Not found"


class Unauthenticated(AskanceError):
    code, title = "unauthenticated", "No valid token"


class Forbidden(AskanceError):
    code, title = "forbidden", "Not allowed for this role"


class SourceNotAllowed(Forbidden):
    code, title = "source-not-allowed", "This source may not be read"


# --- what was sent cannot be used ----------------------------------------------------------------


class Invalid(AskanceError):
    code, title = "invalid", "The request cannot be used"


class BadImage(Invalid):
    code, title = "bad-image", "Not a readable image"


class PayloadTooLarge(Invalid):
    code, title = "too-large", "Too large"


class UnknownLabel(Invalid):
    code, title = "unknown-label", "Label is not in the ontology"


class BadShape(Invalid):
    code, title = "bad-shape", "Shape does not fit the image"


class RulesBroken(Invalid):
    """`issues` in its ids: all that is wrong, warnings too."""

    code, title = "rules-broken", "The answer breaks the recipe's rules"


class BadWeights(Invalid):
    code, title = "bad-weights", "Weights cannot be used"


class BadDataset(Invalid):
    code, title = "bad-dataset", "Data set cannot be read"


class BadQuery(Invalid):
    """`position` (from 0), `found`, `expected` and `near` in its ids, where they apply."""

    code, title = "bad-query", "The query cannot be read"


class SettingsError(Invalid):
    code, title = "bad-settings", "Settings cannot be used"


# --- what was asked does not fit the state of things ------------------------------------------


class Conflict(AskanceError):
    code, title = "conflict", "Conflicts with the present state"


class StaleLease(Conflict):
    code, title = "stale-lease", "The lease is no longer yours"


class AlreadySubmitted(Conflict):
    code, title = "already-submitted", "The task has its answer"


class IdempotencyInFlight(Conflict):
    code, title = "idempotency-in-flight", "The first request with this key is still running"


class IdempotencyMismatch(Invalid):
    code, title = "idempotency-mismatch", "The key was used for another request"


class CycleRunning(Conflict):
    code, title = "cycle-running", "A cycle is already running"


class TooFewImages(Conflict):
    code, title = "too-few-images", "Too few images to say anything yet"


class GateNotPassed(Conflict):
    code, title = "gate-not-passed", "The promotion gate was not passed"


# --- what cannot be done just now ----------------------------------------------------------------


class Unavailable(AskanceError):
    code, title = "unavailable", "Not available just now"


class Declined(Unavailable):
    """By another service that is there: it will say no again until somebody changes something."""

    code, title = "declined", "Another service said no"


class Overloaded(Unavailable):
    code, title = "overloaded", "More work than can be done just now"


class NoPlace(Unavailable):
    """What some work reserves of the machine was not free in time: others have it."""


class TooManyRequests(AskanceError):
    """One caller asks for more than its share; `retry_after_s` says when it may ask again."""

    code, title = "too-many-requests", "Too many requests"


class DeadlinePassed(AskanceError):
    code, title = "deadline-passed", "Not answered before the deadline"


class ModelTimedOut(DeadlinePassed):
    """It took longer than its own serving.timeout_s, while its caller would still have waited."""

    code, title = "model-timed-out", "The model took too long"


class ReviewPending(DeadlinePassed):
    """A call waited for a person; its prediction is kept and `prediction` in the ids."""

    code, title = "review-pending", "No person has answered in time"


class FunctionTimedOut(DeadlinePassed):
    code, title = "function-timed-out", "The function took too long and was ended"


class NoChampion(Conflict):
    """No outage: somebody has to add a model."""

    code, title = "no-champion", "No model is serving"


class ModelGone(Unavailable):
    """The model version asked for does not serve any more; ask for the present champion."""

    code, title = "model-gone", "The model does not serve any more"


class PortInUse(Unavailable):
    code, title = "port-in-use", "The port is taken"


class CycleFailed(AskanceError):
    code, title = "cycle-failed", "The cycle failed"


class OutOfMemory(CycleFailed):
    """Fewer images a step may be the cure."""


class MapFailed(AskanceError):
    code, title = "map-failed", "The map could not be drawn"


class AnnotationFailed(AskanceError):
    code, title = "annotation-failed", "The annotation failed"


class FunctionFailed(AskanceError):
    """A custom function of an installed package; nothing of its result was taken."""

    code, title = "function-failed", "The function failed"
