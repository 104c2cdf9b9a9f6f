"""Python functions of installed packages: among the rules, and called on events."""

from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from loop.domain.functions.calls import Asked, FunctionCall, Ran
from loop.domain.recipes.rules import Scene


class RuleFunctions(Protocol):
    """Python functions that judge answers, from outside of this project."""

    @property
    def names(self) -> frozenset[str]: ...

    def ask(self, function: str, scene: Scene) -> list[tuple[str, tuple[str, ...]]] | str:
        """What it finds: messages, with the ids of the shapes concerned; or in words why it has not answered: it is
        not there, raised, or took too long. Never raises, and takes a bounded time."""
        ...


class CustomFunctions(Protocol):
    """Python functions of installed packages that are called on events and by buttons."""

    @property
    def packages(self) -> Mapping[str, str]:
        """By the function's name: the package that registers it, and its version."""
        ...

    def run(self, asked: Asked, *, seconds: float, start_seconds: float | None = None) -> Ran:
        """Call one, away from this process, and end it for certain where it takes longer than `seconds`. Never raises.

        start_seconds: that it may wait for a process to run in; None: waiting counts as running.
        """
        ...

    def prepare(self) -> None:
        """Somebody may ask soon: let a process be there by then. Waits for nothing, and never raises."""
        ...


class FunctionCalls(Protocol):
    """The durable queue of functions. `Events.add` and new items fill it, as the projects' policies say."""

    def add(self, call: FunctionCall) -> bool:
        """False where the function was called for this subject and trigger before; that call then stays as it is."""
        ...

    def get(self, project_id: str, call_id: str) -> FunctionCall:
        """Raises NotFound."""
        ...

    def unfinished(self, project_id: str) -> int:
        """How many wait or are being run."""
        ...

    def is_due(self, now: datetime) -> bool:
        """Whether one can be claimed. Reads no more than one row."""
        ...

    def claim(self, *, now: datetime, until: datetime) -> FunctionCall | None:
        """The one of all projects that is due the longest, under its next epoch; nobody else gets it before `until`.
        Skips those that others are claiming."""
        ...

    def settle(self, call: FunctionCall) -> bool:
        """Write what came of a claimed call. False, and nothing is written, where its epoch is not the newest."""
        ...

    def prune(self, before: datetime, limit: int) -> int:
        """Forget at most `limit` calls that ended before; how many that was."""
        ...
