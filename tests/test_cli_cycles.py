"""`askance cycle run`: how far a cycle is, on a terminal and in a pipe."""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.text import Text
from typer.testing import CliRunner, Result

from loop.cli import app
from loop.domain.errors import CycleFailed
from loop.domain.outgoing.notes import metrics_note, run_note
from serving.api.schemas.models import CycleIn, CycleOut
from tests.api.conftest import audited_service, client_within  # noqa: F401
from training.registry import Registry

DECISION = {"clauses": [{"name": "better", "passed": True, "detail": "by far"}]}
STEPS = [("snapshot", 0.0), ("train", 0.0), ("train", 0.5), ("train", 1.0), ("evaluate", 0.3), ("gate", 0.0)]


def cycle(step: str, progress: float, state: str = "running") -> CycleOut:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    return CycleOut.model_validate(
        {
            "id": "cycle_1", "project_id": "street", "state": state, "step": step, "progress": progress, "actor": "ann",
            "reason": "", "recipe": {}, "champion_id": None, "candidate_id": "model_2", "snapshot_digest": None,
            "evaluation": {}, "decision": DECISION, "mlflow_run_id": None, "error": "no images", "created_at": now,
            "updated_at": now, "finished_at": None,
        }
    )  # fmt: skip


class Service:
    """Stands in for the client; its cycle ends in `state`."""

    def __init__(self) -> None:
        self.state = "promoted"

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def start_cycle(self, _project: str, _wish: CycleIn) -> CycleOut:
        return cycle("snapshot", 0.0, "queued")

    def follow_cycle(self, _project: str, _cycle: str) -> Iterator[CycleOut]:
        yield from (cycle(*step) for step in STEPS)
        yield cycle("gate" if self.state == "failed" else "done", 0.0, self.state)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    stand_in = Service()
    monkeypatch.setattr("loop.cli.cycles.client_of", lambda *_: stand_in)
    return stand_in


def run(**environment: str) -> Result:
    return CliRunner().invoke(app, ["cycle", "run", "-p", "street"], env={"COLUMNS": "120", **environment})


def bar() -> Result:
    return run(FORCE_COLOR="1", TERM="xterm")


@pytest.mark.usefixtures("service")
def test_a_pipe_gets_a_line_as_each_step_begins() -> None:
    """And what came of it; nothing of a bar."""
    assert run().stdout.splitlines() == [
        "cycle_1 snapshot", "cycle_1 train", "cycle_1 evaluate", "cycle_1 gate", "cycle_1 done",
        "  passed  better: by far", "model_2 was promoted",
    ]  # fmt: skip


@pytest.mark.parametrize("state", ["promoted", "refused"])
def test_a_terminal_has_a_bar_that_is_full_at_the_end(service: Service, state: str) -> None:
    """Whatever the gate said."""
    service.state = state
    shown = Text.from_ansi(bar().stdout).plain
    assert "cycle_1 done" in shown and "100/100" in shown.rpartition("cycle_1 done")[2]
    assert f"model_2 was {state}" in shown


def test_a_cycle_that_failed_leaves_its_bar_where_it_was(service: Service) -> None:
    """And ends with the reason."""
    service.state = "failed"
    for result in (bar(), run()):
        assert isinstance(result.exception, CycleFailed) and "no images" in str(result.exception)
        assert "100/100" not in Text.from_ansi(result.stdout).plain.rpartition("cycle_1 gate")[2]


@pytest.fixture
def shapes(audited_service, monkeypatch: pytest.MonkeyPatch):  # noqa: F811
    """Commands reach this service."""
    client = client_within(audited_service)
    monkeypatch.setattr("loop.cli.cycles.client_of", lambda *_: client)
    return audited_service


def triggers(*arguments: str, typed: str = "") -> Result:
    environment = {"COLUMNS": "200"}
    return CliRunner().invoke(app, ["cycle", "triggers", "-p", "shapes", *arguments], input=typed, env=environment)


@pytest.mark.usefixtures("shapes")
def test_triggers_are_set_from_a_file() -> None:
    """The one that the documents name; JSON is the same."""
    shown = triggers("--file", "configs/triggers.yaml")
    assert shown.exception is None, shown.output
    assert "together: (corrected and failure_rate) or drift" in shown.output
    assert "0 items were corrected since the last cycle, 200 are asked for" in shown.output
    kept = json.loads(triggers("--json").stdout)["rules"]
    assert (kept["corrected"], kept["failure_rate"], kept["drift"]) == (200, 0.05, True)
    assert kept["when"] == {"any": [{"all": ["corrected", "failure_rate"]}, "drift"]}
    again = triggers("--file", "-", "--json", typed='{"when": null, "drift": false}')
    assert json.loads(again.stdout)["rules"]["when"] is None


@pytest.mark.usefixtures("shapes")
def test_a_schedule_is_set_in_words_or_from_a_file() -> None:
    shown = triggers("--set", "schedule=thu,mon 02:30 Europe/Zurich")
    assert shown.exception is None, shown.output
    assert "mon, thu at 02:30 Europe/Zurich" in shown.output and "it is time on" in shown.output
    again = triggers("--file", "-", "--json", typed="schedule: {at: 02:30, days: [mon, thu], zone: Europe/Zurich}")
    kept = json.loads(again.stdout)["rules"]["schedule"]
    assert kept == {"at": "02:30", "days": ["mon", "thu"], "zone": "Europe/Zurich"}
    assert json.loads(triggers("--set", "schedule=off", "--json").stdout)["rules"]["schedule"] is None
    assert "say [DAYS] HH:MM [ZONE]" in str(triggers("--set", "schedule=nightly").exception)


@pytest.mark.usefixtures("shapes")
@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("when: {any: [drift]}", "when names drift, which is not set"),
        ("drift: true\nwhen: {any: [drft]}", "there is no condition 'drft'"),
        ("- drift", "holds no triggers"),
        ("weekly: true", "weekly"),
    ],
)
def test_a_file_of_triggers_that_makes_no_sense_is_refused(typed: str, said: str) -> None:
    assert said in str(triggers("--file", "-", typed=typed).exception)


def mlflow(*arguments: str) -> str:
    shown = CliRunner().invoke(app, ["cycle", "mlflow", "-p", "shapes", *arguments], env={"COLUMNS": "200"})
    assert shown.exception is None, shown.output
    return shown.stdout


def test_what_mlflow_is_still_to_be_told_is_shown_until_it_was(shapes) -> None:
    """How much, since when, of which cycle, and what is in the way; then nothing. The run is in MLflow's own database
    (SQLite, on this disk), which nothing can be told while its folder is a file."""
    folder, services = shapes.services.settings.data_dir / "runs", shapes.services
    telling = replace(services.telling, registry=Registry(f"sqlite:///{folder}/mlflow.db", folder / "artifacts"))
    asked = services.controller.request("shapes", "ada", "try", {})
    at = services.clock()
    with services.store.begin() as tx:
        tx.notes.add(run_note(asked, {"epochs": 3}, {"askance.actor": "ada"}, at))
        tx.notes.add(metrics_note(asked, {"mAP50": 0.5}, 3, at))
    untold, oldest = mlflow(), json.loads(mlflow("--json"))["oldest"].replace("T", " ")[:19]
    # And the alias of the champion, which was promoted before.
    assert f"still to be told 3 things, since {oldest}; cycles go on without it." in untold
    assert f"  {asked.id}: 2" in untold.splitlines() and "in the way" not in untold
    folder.write_bytes(b"")
    telling.run(lambda: False)
    assert "in the way: " in mlflow() and json.loads(mlflow("--json"))["untold"] == 3
    folder.unlink()
    later = services.clock() + timedelta(hours=1)
    replace(telling, clock=lambda: later).run(lambda: False)
    assert mlflow() == "MLflow was told everything.\n"
    with sqlite3.connect(folder / "mlflow.db") as database:
        assert database.execute("SELECT key, value, step FROM metrics").fetchall() == [("mAP50", 0.5, 3)]
        assert ("epochs", "3") in database.execute("SELECT key, value FROM params").fetchall()
