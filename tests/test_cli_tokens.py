"""`askance token`, against the application over a real store."""

import json

import pytest
from typer.testing import CliRunner

from loop.cli import app
from loop.domain.errors import Conflict, NotFound
from tests.api.conftest import client_within, service  # noqa: F401 - a fixture


@pytest.fixture
def run(service, monkeypatch: pytest.MonkeyPatch):  # noqa: F811
    for module in ("projects", "history"):
        monkeypatch.setattr(f"loop.cli.{module}.client_of", lambda *_: client_within(service))
    service.services.projects.create("other", ("a",))

    def command(*arguments: str) -> str:
        result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "60"})
        if result.exception is not None:
            raise result.exception
        return result.stdout

    return command


def made(run, name: str, project: str) -> str:
    """The id of a new reviewer's token."""
    run("token", "create", name, "--role", "reviewer", "--project", project)
    return [json.loads(line) for line in run("token", "list", "--json").splitlines()][-1]["id"]


def test_tokens_are_listed_and_revoked(run, service) -> None:  # noqa: F811
    """By name or id; a revoked one is shown where it is asked for, and no secret ever."""
    secret = run("token", "create", "ann", "--role", "reviewer", "--project", "shapes").strip()
    row = next(line for line in run("token", "list").splitlines() if "ann" in line)
    assert "reviewer" in row and "shapes" in row and secret not in row
    service.tokens["ann"] = secret
    assert service.call("GET", "/v1/me", "ann").status_code == 200
    assert "revoked tok_" in run("token", "revoke", "ann")
    assert service.call("GET", "/v1/me", "ann").status_code == 401
    assert "ann" not in run("token", "list")
    assert "ann" in run("token", "list", "--revoked")
    assert "is revoked since" in run("token", "revoke", row.split()[0])


def test_a_name_that_several_have_is_refused_with_their_ids(run) -> None:
    """None is revoked; by its id each can be."""
    ids = [made(run, "ann", project) for project in ("shapes", "other")]
    with pytest.raises(Conflict) as error:
        run("token", "revoke", "ann")
    assert all(one in error.value.hint for one in ids)
    run("token", "revoke", ids[0])
    assert ids[1] in run("token", "revoke", "ann")
    with pytest.raises(NotFound, match="no valid token 'ann'"):
        run("token", "revoke", "ann")


def test_what_becomes_of_tokens_is_in_the_history(run) -> None:
    """Of the project; without one, that of the installation."""
    made(run, "ann", "shapes")
    run("token", "revoke", "ann")
    told = run("history", "-p", "shapes", "--last", "2")
    assert told.index("token.revoked") < told.index("token.created") and "operator" in told
    run("token", "create", "cam", "--role", "producer")
    assert '"cam"' in run("history", "--kind", "token.created") and "ann" not in run("history")
