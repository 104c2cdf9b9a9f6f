"""`askance label-studio`: what it asks the service for, and what it shows."""

import pytest
from typer.testing import CliRunner

from loop.cli import app
from serving.api.schemas.label_studio import InterfaceOut, LabelStudioStatusOut, PullOut, PushOut, ReleaseOut

ADDRESS = "https://label-studio.example.org/projects/7"


def told(what: str, remote: int, why: str = "") -> dict[str, object]:
    return {"what": what, "place": 7, "remote": remote, "task_id": f"task_{remote}", "author": "a@b.c", "why": why}


class Service:
    """Stands in for the client, and notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def push_to_label_studio(self, project: str, title: str, **wish: object) -> PushOut:
        self.asked.append((project, title, wish))
        first = len(self.asked) == 1
        return PushOut.model_validate(
            {
                "address": ADDRESS, "sent": [{"task_id": "task_1", "remote": 1}], "waiting": 2, "more": first,
                "problems": [] if first else [{"task_id": "task_9", "remote": None, "why": "It is [odd]."}],
                "in_hand": 0 if first else 1,
            }
        )  # fmt: skip

    def pull_from_label_studio(self, project: str, *, after: str | None, take_edits: bool) -> PullOut:
        self.asked.append((project, after, take_edits))
        if after is None:
            return PullOut.model_validate({"told": [told("answered", 1), told("skipped", 2)], "next": "7.2.2"})
        return PullOut.model_validate({"told": [told("problem", 3, "Correct it.")], "next": None})

    def release_from_label_studio(self, project: str, tasks: list[str] | None) -> ReleaseOut:
        self.asked.append((project, tasks))
        return ReleaseOut.model_validate({"told": [told("released", 1)], "more": len(self.asked) == 1})

    def label_studio(self, project: str) -> LabelStudioStatusOut:
        place = {"address": ADDRESS, "counts": {"out": 3, "answered": 40}}
        problems = [{"task_id": "task_3", "remote": 3, "why": "Correct it."}]
        return LabelStudioStatusOut.model_validate({"places": [place], "problems": problems})

    def label_studio_interface(self, project: str) -> InterfaceOut:
        return InterfaceOut(xml="<View>[bold]</View>\n")


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    made = Service()
    monkeypatch.setattr("loop.cli.label_studio.client_of", lambda *_: made)
    return made


def run(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["label-studio", *arguments, "--project", "street"])
    assert done.exit_code == 0, done.output
    return done.output


def test_push_calls_until_nothing_is_left(service: Service) -> None:
    """It says how many went, what did not and why, and what is in another's hand."""
    shown = run("push", "--count", "2", "--where", "tag=night")
    wish = {"count": 2, "selection": None, "query": "tag=night", "stage": None}
    assert service.asked == [("street", "Askance street", wish)] * 2
    assert f"2 sent, 2 wait for an answer in {ADDRESS}" in shown
    assert "task_9 (not there): It is [odd]." in shown
    assert "1 are in the hand of another push" in shown


def test_pull_goes_through_all_pages(service: Service) -> None:
    """What needs a person is shown line by line, the rest is counted."""
    shown = run("pull", "--take-edits")
    assert service.asked == [("street", None, True), ("street", "7.2.2", True)]
    assert shown.splitlines() == ["task_3 (3 there): problem. Correct it.", "1 answered, 1 skipped, 1 problem"]


def test_release_needs_tasks_or_all(service: Service) -> None:
    """Neither and both are refused; it calls until nothing is left."""
    for wrong in ([], ["task_1", "--all"]):
        assert CliRunner().invoke(app, ["label-studio", "release", *wrong, "--project", "street"]).exit_code == 2
    assert "2 released" in run("release", "--all")
    assert service.asked == [("street", None)] * 2


def test_status_and_interface(service: Service) -> None:
    """Counts by state, problems with what to do; XML as it is."""
    shown = run("status")
    assert "task_3 (3 there): Correct it." in shown
    assert "40" in shown
    assert run("interface") == "<View>[bold]</View>\n"
