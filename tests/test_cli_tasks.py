"""`askance tasks`: what it asks the service for, and what it shows."""

import json

import pytest
from typer.testing import CliRunner

from loop.cli import app
from serving.api.schemas.tasks import ListedTaskOut, TaskPage

TASK = {
    "id": "task_1", "project_id": "street", "item_digest": "9f2c" + 60 * "0", "file": "frame-[014].png",
    "stage": "annotate", "state": "leased", "priority": 0.91, "rank": 1_772_366_400.0, "source": "north",
    "groups": ["leads", "night"], "skills": ["signs"], "kept_for": "", "nobody": False,
    "created_at": "2026-03-01T12:00:00Z", "due_at": "2026-03-02T12:00:00Z", "urgency": "overdue", "answer_by": None,
    "holder": "ada", "epoch": 3, "leased_at": "2026-03-02T13:00:00Z", "expires_at": "2026-03-02T13:05:00Z", "skips": 2,
    "round": 1, "prediction_id": "pred_1", "work_id": "task_1", "lot_id": None,
}  # fmt: skip
OPEN = TASK | {
    "id": "task_2", "file": "", "state": "open", "groups": [], "skills": ["elvish"], "nobody": True, "due_at": None,
    "urgency": "ordinary", "holder": "", "leased_at": None, "expires_at": None, "skips": 0,
}  # fmt: skip


class Service:
    """Stands in for the client, and notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []
        self.next: str | None = None

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def tasks(self, project: str, **asked: object) -> TaskPage:
        self.asked.append((project, {name: value for name, value in asked.items() if value is not None}))
        return TaskPage.model_validate({"tasks": [TASK, OPEN], "next": self.next})

    def task(self, task_id: str) -> ListedTaskOut:
        return ListedTaskOut.model_validate(TASK | {"id": task_id})

    def take_back(self, task_id: str, epoch: int | None) -> ListedTaskOut:
        self.asked.append((task_id, epoch))
        return ListedTaskOut.model_validate(OPEN | {"id": task_id, "epoch": 4})


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    stand_in = Service()
    monkeypatch.setattr("loop.cli.tasks.client_of", lambda *_: stand_in)
    return stand_in


def run(*arguments: str, typed: str = ""):
    return CliRunner().invoke(app, ["tasks", *arguments], input=typed)


def test_tasks_are_listed_with_who_holds_them_and_who_may_do_them(service: Service) -> None:
    """A row each, by the name of the file where that is known."""
    shown = run("list", "-p", "street")
    assert shown.exit_code == 0, shown.output
    first, second = shown.output.splitlines()[1:]
    for word in ("task_1", "frame-[014].png", "leased", "0.91", "2026-03-02 12:00 overdue", "ada", "13:05"):
        assert word in first
    assert "leads or night with signs" in first
    assert "9f2c00000000" in second
    assert "NOBODY (everybody with elvish)" in second
    assert service.asked == [("street", {"limit": 50})]


def test_filters_are_asked_for_and_a_page_says_where_the_next_begins(service: Service) -> None:
    """What is not named is not asked for."""
    service.next = "1.5~2026-03-01T12:00:00Z~task_2"
    arguments = ("--stage", "qa", "--holder", "ada", "--overdue", "--nobody", "--after", "x", "--limit", "7")
    shown = run("list", "-p", "street", *arguments)
    assert f"--after '{service.next}'" in shown.output
    wanted = {"stage": "qa", "holder": "ada", "overdue": True, "nobody": True, "after": "x", "limit": 7}
    assert service.asked == [("street", wanted)]
    assert run("list", "-p", "street", "--state", "lost").exit_code == 2


def test_json_has_all_there_is(service: Service) -> None:
    """The answer of the service."""
    assert json.loads(run("list", "-p", "street", "--json").output)["tasks"][1]["nobody"] is True
    assert json.loads(run("show", "task_1", "--json").output)["epoch"] == 3


def test_one_task_is_shown(service: Service) -> None:
    """Its place, its holder, its proposal."""
    shown = run("show", "task_1").output
    for words in (
        "leased by ada until 2026-03-02 13:05; epoch 3",
        "skipped by 2 in round 1",
        "proposal pred_1",
        "lot -",
    ):
        assert words in shown


def test_a_lease_is_taken_back_from_who_was_shown(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal asks first, --yes does not; the epoch that was shown goes along."""
    monkeypatch.setattr("loop.cli.tasks.can_ask", lambda: True)
    declined = run("release", "task_1", typed="n\n")
    assert "Take it from ada?" in declined.output
    assert (declined.exit_code, service.asked) == (1, [])
    taken = run("release", "task_1", typed="y\n")
    assert "taken back from ada: task_1 is open" in taken.output
    assert "?" not in run("release", "task_1", "--yes").output
    assert service.asked == [("task_1", 3), ("task_1", 3)]
