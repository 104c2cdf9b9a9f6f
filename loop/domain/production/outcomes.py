"""How a prediction turned out, as somebody outside reports it. It is kept and shown, and is no estimate: who reports
what is wrong is seldom asked what was right."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from loop.domain.errors import Invalid

LONGEST_REASON = 1000
MOST_LABELS = 100
_AHEAD = timedelta(minutes=5)  # of clocks that differ


class TurnedOut(StrEnum):
    WRONG = "wrong"
    RIGHT = "right"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What somebody says of a prediction. labels: which it is about; empty where that is not said. at: when it was
    found out; None for now."""

    outcome: TurnedOut
    reason: str = ""
    labels: tuple[str, ...] = ()
    at: datetime | None = None
    send_to_review: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedOutcome:
    """model_id, predicted_at: of the prediction. reported_by: a token's id. task_id: the task that was made for it;
    None where none was asked for, or the item had one, or its truth."""

    prediction_id: str
    project_id: str
    model_id: str
    predicted_at: datetime
    reported_by: str
    outcome: TurnedOut
    reason: str
    labels: tuple[str, ...]
    at: datetime
    created_at: datetime
    task_id: str | None = None

    def says(self, told: Told) -> bool:
        """Whether this is what is told, for a retry."""
        same = (self.outcome, self.reason, self.labels) == (told.outcome, told.reason, told.labels)
        return same and told.at in (None, self.at)


def checked(told: Told, predicted_at: datetime, now: datetime) -> Told:
    """What is told, its labels in order and each once. Raises Invalid for what cannot be."""
    if told.at is not None and (told.at.tzinfo is None or not predicted_at - _AHEAD <= told.at <= now + _AHEAD):
        raise Invalid(
            f"it cannot have been found out at {told.at.isoformat()}.",
            hint=f"Give a time with its zone, after the prediction ({predicted_at.isoformat()}) and not in the future.",
        )
    if told.send_to_review and told.outcome is not TurnedOut.WRONG:
        raise Invalid("what turned out right needs no review.", hint="Leave out send_to_review.")
    return Told(
        outcome=told.outcome,
        reason=told.reason.strip(),
        labels=tuple(sorted(set(told.labels))),
        at=told.at,
        send_to_review=told.send_to_review,
    )
