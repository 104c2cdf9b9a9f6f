"""`askance people` and `askance reopen`: what they ask the service for, and what they show."""

import pytest
from typer.testing import CliRunner

from loop.cli import app
from loop.domain.errors import Conflict, Invalid, NotFound
from serving.api.schemas.queue import PersonOut


def a_person(name: str, **changes: object) -> PersonOut:
    plain = {
        "token_id": f"tok_{name}", "name": name, "role": "reviewer", "project_id": None, "groups": ["leads"],
        "skills": [], "max_leases": 3, "max_tasks_a_day": None, "answered": 7,
    }  # fmt: skip
    return PersonOut.model_validate(plain | changes)


class Service:
    """Stands in for the client, and notes what it is asked."""

    def __init__(self) -> None:
        self.reviewers = [a_person("ada"), a_person("bob"), a_person("bob", token_id="tok_bob2")]
        self.asked: list[tuple[object, ...]] = []

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def people(self) -> list[PersonOut]:
        return self.reviewers

    def describe_person(self, token_id: str, **changes: object) -> PersonOut:
        self.asked.append((token_id, changes))
        return a_person("ada", **changes)

    def reopen_task(self, task_id: str) -> list[str]:
        self.asked.append((task_id,))
        return [task_id, f"{task_id}-2"]

    def reopen_item(self, project: str, digest: str) -> list[str]:
        self.asked.append((project, digest))
        return ["task_1"]


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    stand_in = Service()
    monkeypatch.setattr("loop.cli.people.client_of", lambda *_: stand_in)
    return stand_in


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def test_people_are_listed(service):
    """With groups, limits and how much they answered."""
    shown = run("people", "list").output
    assert "ada" in shown
    assert "leads" in shown


def test_what_is_named_changes_and_nothing_else(service):
    """By name or id; an empty list takes all away, `none` takes a limit away."""
    assert run("people", "set", "ada", "--groups", "leads, experts").exit_code == 0
    assert (
        run("people", "set", "tok_ada", "--skills", "", "--max-leases", "none", "--max-tasks-a-day", "9").exit_code == 0
    )
    assert service.asked == [
        ("tok_ada", {"groups": ["leads", "experts"]}),
        ("tok_ada", {"skills": [], "max_leases": None, "max_tasks_a_day": 9}),
    ]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("ada",), Invalid),
        (("ada", "--max-leases", "many"), Invalid),
        (("zoe", "--groups", "leads"), NotFound),
        (("bob", "--groups", "leads"), Conflict),
    ],
    ids=["nothing", "no number", "nobody", "two of that name"],
)
def test_what_cannot_be_is_told(service, arguments, error):
    """And nothing is asked for."""
    assert isinstance(run("people", "set", *arguments).exception, error)
    assert service.asked == []


def test_a_task_or_an_item_is_opened_again(service):
    """An item where a project is named."""
    assert "task_9-2" in run("reopen", "task_9").output
    assert "task_1" in run("reopen", "abc", "--project", "street").output
    assert service.asked == [("task_9",), ("street", "abc")]
