"""`askance functions`: what it asks the service for, and what it shows."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from loop.cli import app
from loop.domain.errors import FunctionFailed
from serving.api.schemas.events import EventOut
from serving.api.schemas.functions import (
    CallOut,
    FunctionHistoryOut,
    FunctionUseIO,
    InstalledFunctionOut,
    InstalledFunctionsOut,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUN = {
    "function": "redact", "package": "askance 0.1.0", "trigger": "task.completed", "item_digest": "9f2c" * 16,
    "attempt": 2, "seconds": 0.25, "outcome": "raised", "why": "it raised ValueError: no labels",
}  # fmt: skip


def a_call(**changes: object) -> CallOut:
    plain = {
        "id": "call_1", "function": "redact", "trigger": "manual", "item_digest": "d", "state": "pending",
        "attempts": 0,
        "error": "", "messages": [], "created_at": NOW, "due_at": NOW, "finished_at": None,
    }  # fmt: skip
    return CallOut.model_validate(plain | changes)


class Service:
    """Stands in for the client. steps: what the call has come to, each time that it is asked."""

    def __init__(self) -> None:
        self.steps: list[CallOut] = []
        self.asked: list[tuple[object, ...]] = []

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def functions_installed(self) -> InstalledFunctionsOut:
        return InstalledFunctionsOut(functions=[InstalledFunctionOut(name="redact", package="askance 0.1.0")])

    def project(self, project: str) -> SimpleNamespace:
        uses = [
            {"name": "redact", "on": ["task.completed"], "button": {"label": "Redact", "key": "r"}},
            {"name": "removed"},
        ]
        return SimpleNamespace(policy=SimpleNamespace(functions=[FunctionUseIO.model_validate(use) for use in uses]))

    def function_runs(self, project: str, limit: int) -> FunctionHistoryOut:
        self.asked.append((project, limit))
        event = EventOut(sequence=1, kind="function.ran", actor="ann", body=RUN, at=NOW)
        return FunctionHistoryOut(waiting=3, runs=[event])

    def call_function(self, project: str, name: str, item: str) -> CallOut:
        self.asked.append((project, name, item))
        return a_call()

    def function_call(self, project: str, call_id: str) -> CallOut:
        return self.steps.pop(0)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    stand_in = Service()
    monkeypatch.setattr("loop.cli.functions.client_of", lambda *_: stand_in)
    monkeypatch.setattr("loop.cli.functions._LOOK_SECONDS", 0.0)
    return stand_in


def run(*arguments: str):
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["functions", *arguments])


def test_functions_are_listed(service):
    """What is installed; with a project, what it uses, also where that is not installed any more."""
    assert run("list").output.split() == ["function", "package", "redact", "askance", "0.1.0"]
    lines = run("list", "-p", "street").output.splitlines()
    assert lines[1].split() == ["redact", "askance", "0.1.0", "task.completed", "Redact", "r"]
    assert lines[2].split() == ["removed", "not", "installed", "-", "-", "-"]


def test_runs_are_listed(service):
    """With what came of them, and how many calls wait."""
    shown = run("runs", "-p", "street", "--limit", "7").output
    assert service.asked == [("street", 7)]
    for told in (
        "redact",
        "askance 0.1.0",
        "task.completed",
        "9f2c9f2c9f2c",
        "0.25",
        "raised",
        "no labels",
        "3 calls wait",
    ):
        assert told in shown


def test_a_run_by_hand_is_waited_for(service):
    """Each failed try is told once; at the end what the function said."""
    again = a_call(attempts=1, error="its process ended")
    service.steps = [again, again, a_call(state="done", attempts=2, messages=["2 regions were redacted."])]
    shown = run("run", "redact", "-p", "street", "--item", "d").output
    assert service.asked == [("street", "redact", "d")]
    assert shown.count("its process ended") == 1
    assert "2 regions were redacted." in shown


def test_a_run_that_is_given_up_is_an_error(service):
    """With its reason."""
    service.steps = [a_call(state="failed", attempts=4, error="it took longer than 60 s")]
    error = run("run", "redact", "-p", "street", "--item", "d").exception
    assert isinstance(error, FunctionFailed)
    assert "4 tries: it took longer than 60 s" in str(error)
