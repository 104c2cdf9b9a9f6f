"""`askance drift`: what it asks the service for, and what it shows."""

import json
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from askance.client import ApiError
from loop.cli import app
from loop.cli import drift as _registered  # noqa: F401
from loop.domain.production.drift import NOTHING
from serving.api.schemas.drift import DriftPage, DriftReportOut
from serving.api.schemas.problem import Problem

NOW = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)


def report(**changes: object) -> DriftReportOut:
    tests = [
        {"name": name, "statistic": 1.0, "effect": 0.9, "low": 0.8, "high": 0.95, "p": p, "adjusted_p": adjusted}
        for name, p, adjusted in (("embeddings", 0.001, 0.003), ("scores", 0.2, 0.3), ("classes", 0.9, 0.9))
    ]
    return DriftReportOut.model_validate(
        {
            "id": "drift_1", "project_id": "p", "model_id": "model_1", "actor": "drift", "created_at": NOW,
            "scheduled": True, "verdict": "drift", "alarm": True, "level": 0.05, "reference_origin": "evaluation",
            "reference_images": 300, "reference_units": 300, "window_images": 200, "window_units": 200,
            "window_of": 512, "window_from": NOW, "window_until": NOW, "tests": tests,
            "classes": [
                {"label": "[red]bar", "before": 0.2, "after": 0.35, "low": 0.1, "high": 0.2},
                {"label": NOTHING, "before": 0.1, "after": 0.05, "low": -0.1, "high": 0.0},
            ],
            "scores": {"before": 0.91, "after": 0.62, "low": -0.3, "high": -0.2},
            "sources": [{"source": "camera [3]", "images": 80, "unlike": 0.97}],
            "unlike": [f"{number:064x}" for number in range(5)], "notes": ["No cycle [was] asked for."],
            "cycle_id": None,
        }
        | changes
    )  # fmt: skip


class Service:
    """Stands in for the client, and notes what it is asked."""

    def __init__(self, *reports: DriftReportOut, refuses: str = "") -> None:
        self.page = DriftPage(
            model_id="model_1", alarm=False, waiting="12 of the 200 predictions.", reports=list(reports), next=None
        )
        self.refuses = refuses
        self.asked: list[str] = []

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def drift(self, project: str) -> DriftPage:
        self.asked.append(f"reports of {project}")
        return self.page

    def look_for_drift(self, project: str) -> None:
        self._asked("look", project)

    def accept_drift(self, project: str) -> None:
        self._asked("accept", project)

    def _asked(self, what: str, project: str) -> None:
        self.asked.append(f"{what} at {project}")
        if self.refuses:
            kind = f"/problems/{self.refuses}"
            raise ApiError(409, Problem(type=kind, title="", status=409, detail="3 predictions.", hint="It takes 30."))


def askance(monkeypatch: pytest.MonkeyPatch, service: Service, *arguments: str, exit_code: int = 0):
    monkeypatch.setenv("ASKANCE_TOKEN", "secret")
    monkeypatch.setattr("serving.client.Client", lambda _url, _token: service)
    done = CliRunner(env={"COLUMNS": "160"}).invoke(app, ["drift", "-p", "p", *arguments])
    assert done.exit_code == exit_code, done.output
    return done


def test_the_newest_look_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict, each test, what moved, where, and how to queue what is unlike."""
    service = Service(report(), report(verdict="same"))
    shown = askance(monkeypatch, service).stdout
    assert service.asked == ["reports of p"]
    assert shown.startswith("drift\n")
    assert "200 images of 512 predictions, 2026-05-01 12:30 to 2026-05-01 12:30 UTC" in shown
    assert "against 300 that model_1 was evaluated on" in shown
    assert "told apart with AUROC 0.90 (0.80 to 0.95)" in shown and "90% of the objects moved" in shown
    marked = [line.split()[0] for line in shown.splitlines() if line.endswith("drift") and line != "drift"]
    assert marked == ["embeddings"]
    assert "[red]bar" in shown and "+15.0% (+10.0% to +20.0%)" in shown and NOTHING in shown
    assert "0.910 before, 0.620 now" in shown
    assert "camera [3]" in shown and "0.97" in shown
    assert f"askance select -p p -b 50 --like {0:064x} --like {1:064x}" in shown
    assert "No cycle [was] asked for." in shown and "Next: 12 of the 200 predictions." in shown


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"verdict": "same", "alarm": False}, "no drift\n"),
        ({"verdict": "drift", "alarm": False}, "drift in this window: an alarm once others confirm it"),
        ({"verdict": "same", "alarm": True}, "no drift in this window: the alarm is over once others confirm it"),
        ({"verdict": "same", "alarm": True, "scheduled": False}, "no drift\n"),
        ({"verdict": "drift", "alarm": False, "scheduled": False}, "drift\n"),
    ],
)
def test_the_verdict_and_the_alarm_are_told_apart(monkeypatch, changes, words) -> None:
    assert askance(monkeypatch, Service(report(**changes))).stdout.startswith(words)


def test_before_there_is_a_look_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = askance(monkeypatch, Service()).stdout
    assert shown == "Nothing has been looked at yet for model_1.\nNext: 12 of the 200 predictions.\n"


def test_a_look_at_another_champion_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = askance(monkeypatch, Service(report(model_id="model_0"))).stdout
    assert shown.startswith("Nothing has been looked at yet for model_1; of the champion before:\ndrift\n")


def test_a_look_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(report())
    shown = askance(monkeypatch, service, "--accept", "--now").stdout
    assert shown.startswith("Accepted: later windows are compared with the newest predictions.\ndrift\n")
    assert service.asked == ["accept at p", "look at p", "reports of p"]


def test_too_few_images_are_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said, and what is known is shown; of JSON nothing else comes on standard output."""
    done = askance(monkeypatch, Service(report(), refuses="too-few-images"), "--now")
    assert done.stdout.startswith("3 predictions. It takes 30.\ndrift\n")
    done = askance(monkeypatch, Service(report(), refuses="too-few-images"), "--now", "--json")
    assert json.loads(done.stdout)["reports"][0]["id"] == "drift_1"
    assert "3 predictions. It takes 30." in done.stderr


def test_another_refusal_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    done = askance(monkeypatch, Service(refuses="conflict"), "--now", exit_code=1)
    assert isinstance(done.exception, ApiError)


def test_reports_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    page = json.loads(askance(monkeypatch, Service(report()), "--json").stdout)
    assert page["reports"][0]["tests"][0]["name"] == "embeddings" and page["waiting"]
