"""`askance lots`: what it asks the service for, and what it shows."""

from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from loop.cli import app
from loop.domain.errors import Invalid
from serving.api.schemas.lots import CurveOut, LotDetailOut, LotPage

RULES = {
    "size": 20, "close_after_seconds": None, "by": "project", "plan": "single", "share": 0.1, "threshold": 0.05,
    "aql": 0.05, "ltpd": 0.3, "alpha": 0.05, "beta": 0.1,
}  # fmt: skip
LOT = {
    "id": "lot_1", "project_id": "street", "source": "north", "upload": False, "state": "inspecting", "rules": RULES,
    "items": 20,
    "unanswered": 3, "waiting": 10, "in_qa": 2, "settled": 5, "void": 0, "inspected": 4, "defects": 1, "accept_at": -1,
    "reject_at": 3, "reason": "1 of 4 inspected have defects", "actor": "service", "version": 7,
    "opened_at": "2026-03-01T12:00:00Z", "closed_at": "2026-03-01T13:00:00Z", "decided_at": None,
}  # fmt: skip
TASKS = [
    {"task_id": "task_1", "item_digest": "9f2c", "place": 0, "standing": "in_qa", "defect": None, "void": False},
    {"task_id": "task_2", "item_digest": "77aa", "place": 1, "standing": "settled", "defect": True, "void": False},
]


class Service:
    """Stands in for the client, and notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def lots(self, project: str, *, limit: int) -> LotPage:
        self.asked.append((project, limit))
        return LotPage.model_validate({"lots": [LOT], "next": None})

    def lot(self, project: str, lot_id: str) -> LotDetailOut:
        return LotDetailOut.model_validate(LOT | {"tasks": TASKS})

    def decide_lot(self, project: str, lot_id: str, how: str, reason: str, version: int) -> LotDetailOut:
        self.asked.append((project, lot_id, how, reason, version))
        decided = {"state": "accepted", "actor": "op", "reason": reason, "decided_at": "2026-03-01T13:00:00Z"}
        return LotDetailOut.model_validate(LOT | decided | {"tasks": TASKS})

    def lot_curve(self, project: str, **rules: object) -> CurveOut:
        self.asked.append((project, rules))
        points = [{"defects": d, "share": d / 20, "accepts": 1 - d / 20, "inspects": 10 - d / 4} for d in range(21)]
        return CurveOut.model_validate({"rules": RULES, "size": 20, "most": 10, "points": points})


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    stand_in = Service()
    monkeypatch.setattr("loop.cli.lots.client_of", lambda *_: stand_in)
    return stand_in


def run(*arguments: str, typed: str = ""):
    return CliRunner().invoke(app, ["lots", *arguments, "--project", "street"], env={"COLUMNS": "200"}, input=typed)


def test_lots_are_listed_and_shown(service: Service) -> None:
    """With how they stand; what was drawn in its order."""
    listed = run("list", "--limit", "5")
    assert listed.exit_code == 0, listed.output
    assert all(word in listed.output for word in ("lot_1", "north", "inspecting"))
    assert service.asked == [("street", 5)]
    shown = run("show", "lot_1")
    assert all(word in shown.output for word in ("unanswered 3", "in QA 2", "1 of 4 inspected", "task_2", "single"))
    assert shown.output.index("task_1") < shown.output.index("task_2")


HOWS = pytest.mark.parametrize("how", ["accept", "reopen"])


@HOWS
def test_a_decision_names_the_lot_that_was_seen(service: Service, how: str) -> None:
    """The version that `show` tells, whatever the lot is by now: of two operators one is told of the other's."""
    assert "version 7" in run("show", "lot_1").output
    decided = run(how, "lot_1", "--reason", "seen", "--version", "5")
    assert decided.exit_code == 0, decided.output
    assert service.asked == [("street", "lot_1", how, "seen", 5)]
    assert "accepted by op" in decided.output
    assert run(how, "lot_1", "--version", "5").exit_code == 2  # no reason


@HOWS
def test_without_a_version_a_terminal_shows_the_lot_and_asks(
    service: Service, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """What was shown is what is decided on; who says no decides nothing."""
    monkeypatch.setattr("loop.cli.lots.can_ask", lambda: True)
    declined = run(how, "lot_1", "--reason", "seen", typed="n\n")
    assert declined.exit_code == 1
    assert all(word in declined.output for word in ("unanswered 3", "version 7", "Decide on this?"))
    assert service.asked == []
    assert run(how, "lot_1", "--reason", "seen", typed="y\n").exit_code == 0
    assert service.asked == [("street", "lot_1", how, "seen", 7)]


@HOWS
def test_a_script_says_what_it_decides_on(service: Service, how: str) -> None:
    """A version, or --yes to whatever there is."""
    told = run(how, "lot_1", "--reason", "seen")
    assert isinstance(told.exception, Invalid)
    assert "--version" in told.exception.hint
    assert service.asked == []
    assert run(how, "lot_1", "--reason", "seen", "--yes").exit_code == 0
    assert service.asked == [("street", "lot_1", how, "seen", 7)]


def test_the_curve_is_drawn(service: Service, tmp_path: Path) -> None:
    """What is named is asked for; the picture can be read."""
    out = tmp_path / "oc.png"
    drawn = run("curve", "--plan", "single", "--size", "20", "--out", str(out))
    assert drawn.exit_code == 0, drawn.output
    assert service.asked == [("street", {"plan": "single", "size": 20})]
    assert "looks at 10 of 20 at most" in drawn.output
    with Image.open(out) as picture:
        assert picture.width > 500


def test_a_curve_that_cannot_be_written_says_so(service: Service, tmp_path: Path) -> None:
    told = run("curve", "--out", str(tmp_path / "none" / "oc.png"))
    assert isinstance(told.exception, Invalid)
