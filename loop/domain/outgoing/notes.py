"""Notes: what MLflow is still to be told, kept in the transaction of what they tell of and told one after the other.

    untold ──told──► told ──the run has ended──► gone
     ▲  └─fails──► untold, due later

Notes of one line, those of a cycle or of a project's aliases, are told in their order. An MLflow that is away holds all
lines up, so that versions get the numbers that they would have had; one that refuses a note holds up its line alone.
Telling is idempotent: whoever dies between MLflow's doing and our knowing tells the same again.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from loop.domain.cycle import Cycle, CycleState
from loop.domain.model import ModelVersion

_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=2), timedelta(minutes=1)
_LONGEST_REFUSED = timedelta(minutes=10)


class NoteKind(StrEnum):
    RUN = "run"  # a cycle's: its parameters and tags
    METRICS = "metrics"  # figures at one step
    ARTIFACT = "artifact"  # a file, whose bytes are a blob
    VERSION = "version"  # of the registered model
    END = "end"  # of the run, and how; the last note of a cycle
    ALIASES = "aliases"  # of a project's models: not what was, but what the database says when it is told

    @property
    def is_last(self) -> bool:
        """Of what its line tells, so that no told note of the line is needed any more."""
        return self in (NoteKind.END, NoteKind.ALIASES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """cycle_id: whose run it is of; None for aliases. key: a cycle says each once, so that a step which is done again
    after a kill adds nothing. at: when it happened, which MLflow is told, too. sequence: by the order of the commits.
    refused: whether MLflow was there when telling failed. error: of the last try."""

    project_id: str
    cycle_id: str | None
    key: str
    kind: NoteKind
    body: Mapping[str, object]
    at: datetime
    due_at: datetime
    told_at: datetime | None = None
    failures: int = 0
    refused: bool = False
    error: str = ""
    sequence: int = 0

    @property
    def line(self) -> str:
        return self.cycle_id or self.project_id


@dataclass(frozen=True, slots=True)
class Untold:
    """Of one line, or of several. oldest: when what waits longest happened."""

    count: int = 0
    oldest: datetime | None = None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What MLflow is still to be told. lines: of each cycle; that of a project's aliases under the project's id. error:
    why it has not been told yet, "" where it is just about to be."""

    whole: Untold
    lines: Mapping[str, Untold] = field(default_factory=dict)
    error: str = ""


# --- what is told --------------------------------------------------------------------------------


def run_note(cycle: Cycle, params: Mapping[str, object], tags: Mapping[str, str], at: datetime) -> Note:
    told = {name: str(value) for name, value in params.items()}
    return _of(cycle, NoteKind.RUN, "run", {"params": told, "tags": dict(tags)}, at)


def metrics_note(cycle: Cycle, figures: Mapping[str, float], step: int, at: datetime, key: str = "metrics") -> Note:
    """Values that are not finite are left out."""
    finite = {name: float(value) for name, value in figures.items() if math.isfinite(value)}
    return _of(cycle, NoteKind.METRICS, f"{key} {step}", {"figures": finite, "step": step}, at)


def artifact_note(cycle: Cycle, name: str, blob: str, at: datetime) -> Note:
    return _of(cycle, NoteKind.ARTIFACT, f"artifact {name}", {"name": name, "blob": blob}, at)


def version_note(cycle: Cycle, model: ModelVersion, at: datetime) -> Note:
    return _of(cycle, NoteKind.VERSION, "version", {"model_id": model.id}, at)


def end_note(cycle: Cycle, at: datetime) -> Note:
    status = "FAILED" if cycle.state is CycleState.FAILED else "FINISHED"
    return _of(cycle, NoteKind.END, "end", {"status": status}, at)


def aliases_note(project_id: str, at: datetime) -> Note:
    return Note(
        project_id=project_id, cycle_id=None, key="aliases", kind=NoteKind.ALIASES, body={}, at=at, due_at=at
    )  # fmt: skip


def _of(cycle: Cycle, kind: NoteKind, key: str, body: Mapping[str, object], at: datetime) -> Note:
    return Note(project_id=cycle.project_id, cycle_id=cycle.id, key=key, kind=kind, body=body, at=at, due_at=at)


# --- when it is told -----------------------------------------------------------------------------


def next_to_tell(heads: Sequence[Note], now: datetime) -> Note | None:
    """None while nothing is due. heads: the first untold note of each line, by sequence."""
    for head in heads:
        if _is_due(head, now):
            return head
        if not head.refused:
            return None
    return None


def _is_due(note: Note, now: datetime) -> bool:
    """No pause is longer than the longest, whatever clocks have done since."""
    return note.failures == 0 or not now < note.due_at <= now + _LONGEST_REFUSED


def after_failure(note: Note, error: str, *, refused: bool, now: datetime) -> Note:
    """Due again after a pause that doubles with each failure."""
    longest = _LONGEST_REFUSED if refused else _LONGEST_PAUSE
    pause = min(_FIRST_PAUSE * 2 ** min(note.failures, 20), longest)
    return replace(note, failures=note.failures + 1, refused=refused, error=error, due_at=now + pause)


def backlog(heads: Sequence[Note], lines: Mapping[str, Untold]) -> Backlog:
    """heads: of all lines, by sequence. lines: those that are asked about."""
    oldest = min((line.oldest for line in lines.values() if line.oldest is not None), default=None)
    whole = Untold(sum(line.count for line in lines.values()), oldest)
    return Backlog(whole, lines, next(filter(None, (why_untold(heads, line) for line in lines)), ""))


def why_untold(heads: Sequence[Note], line: str) -> str:
    """What keeps a line from being told: what its next note met, or what holds all up; "" for nothing."""
    for head in heads:
        if head.line == line or (head.error and not head.refused):
            return head.error
    return ""
