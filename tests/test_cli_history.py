"""`askance history`, against the application over a real store."""

import json
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from loop.cli import app
from loop.domain.ports import Event
from tests.api.conftest import client_within, service  # noqa: F401 - a fixture
from tests.api.test_predictions import problem


@pytest.fixture
def run(service, monkeypatch: pytest.MonkeyPatch):  # noqa: F811
    monkeypatch.setattr("loop.cli.history.client_of", lambda *_: client_within(service))

    def command(*arguments: str):
        return CliRunner().invoke(app, ["history", "-p", "shapes", *arguments], env={"COLUMNS": "300"})

    for rate in (0.1, 0.2, 0.3):
        service.call("PATCH", "/v1/projects/shapes/policy", json={"audit_rate": rate})
    return command


def test_what_happened_is_told_from_the_newest_on(run) -> None:
    """Of one kind, or all; with who did it and what it says."""
    shown = run("--kind", "policy.changed", "--last", "2").output
    assert shown.index('"audit_rate": 0.3') < shown.index('"audit_rate": 0.2') and '"audit_rate": 0.1' not in shown
    assert "operator" in shown
    kinds = [json.loads(line)["kind"] for line in run("--json").output.splitlines()]
    assert kinds[:3] == ["policy.changed"] * 3 and "model.promoted" in kinds


def test_a_kind_that_there_is_not_is_answered_with_the_nearest(run) -> None:
    """And with those that there are; one that only has not happened is not doubted."""
    told = run("--kind", "policy.changd").output
    assert "nothing of that kind has happened; did you mean policy.changed?" in told
    assert "Here there are:" in told and "model.promoted" in told and "lot.accepted" in told
    assert run("--kind", "lot.accepted").output.splitlines()[-1] == "nothing of that kind has happened"


def test_the_first_word_of_kinds_is_all_of_them(run) -> None:
    """And nothing that only begins with the same letters."""
    kinds = {json.loads(line)["kind"] for line in run("--kind", "model", "--json").output.splitlines()}
    assert kinds == {"model.registered", "model.promoted"}
    assert run("--kind", "mode", "--json").output == ""


def test_types_of_webhooks_are_kinds(run, service) -> None:  # noqa: F811
    """Also those that the history keeps under another name: of promotions only those that went back."""
    with service.services.store.begin() as tx:
        for kind in ("override", "rollback", "gate"):
            body = {"model_id": "model_1", "previous_id": "model_2", "kind": kind}
            tx.events.add(Event("model.promoted", "shapes", "ada", body, datetime.now(UTC)))
    (line,) = run("--kind", "model.rolled_back", "--json").output.splitlines()
    assert json.loads(line)["body"]["kind"] == "rollback"


def test_one_kind_is_read_on_from_where_it_was_left(run, service) -> None:  # noqa: F811
    """Oldest first; the last ones have no number to begin after."""
    path = "/v1/projects/shapes/events"
    changes = {"kind": "policy.changed", "limit": 2}
    first = service.call("GET", path, params=changes).json()
    rest = service.call("GET", path, params=changes | {"after": first["next"]}).json()
    rates = [event["body"]["audit_rate"] for page in (first, rest) for event in page["events"]]
    assert rates == [0.1, 0.2, 0.3]
    assert service.call("GET", path, params=changes | {"after": rest["next"]}).json() == {
        "events": [],
        "next": rest["next"],
    }
    problem(service.call("GET", path, params={"newest": True, "after": 1}), 422, "invalid")
