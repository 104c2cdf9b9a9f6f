"""`askance cycle show` and `askance cycle slices`: what they ask the service for, and what they show."""

from dataclasses import replace

import pytest
import typer

from loop.domain.cycle import Step
from loop.domain.errors import NotFound
from serving.client import ApiError
from tests.api.conftest import Service, client_within, service  # noqa: F401
from tests.api.test_evaluations import BURNT, Forgetful, furnished  # noqa: F401
from tests.api.test_evaluations import run as run_cycle
from tests.api.test_recipes import _working
from tests.test_cli_items import run


@pytest.fixture
def reached(furnished: Service, monkeypatch: pytest.MonkeyPatch) -> Service:  # noqa: F811
    """Commands reach the service."""

    client = client_within(furnished)
    monkeypatch.setattr("loop.cli.evaluations.client_of", lambda *_: client)
    return furnished


def test_slices_are_set_and_taken_off(reached: Service) -> None:
    """What is not named stays; a removed view is said to be so."""
    reached.call("PUT", "/v1/projects/shapes/views/all", json={"query": ""})
    assert "tag = dark" in run("cycle", "slices", "--set", "dark=0.02")
    shown = run("cycle", "slices", "--set", "all")
    assert "0.02" in shown and "0.05 (as set)" in shown
    reached.call("DELETE", "/v1/projects/shapes/views/dark")
    assert "the view was removed" in run("cycle", "slices")
    assert "dark" not in run("cycle", "slices", "--off", "dark")


def test_rubbish_is_one_line(reached: Service) -> None:
    with pytest.raises(NotFound, match="no slice of shapes"):
        run("cycle", "slices", "--off", "fog")
    with pytest.raises(ApiError, match="fog"):
        run("cycle", "slices", "--set", "fog")
    with pytest.raises((typer.BadParameter, SystemExit)):
        run("cycle", "slices", "--set", "dark=much")
    with pytest.raises(NotFound, match="no cycle that was evaluated"):
        run("cycle", "show")


def test_a_cycle_is_shown_with_its_figures(reached: Service) -> None:
    """The newest that was evaluated, or the one that is named: clauses, labels, slices, latency."""
    cycle = run_cycle(reached, Forgetful(BURNT))
    shown = run("cycle", "show")
    assert shown == run("cycle", "show", cycle.id)
    assert f"{cycle.id}: refused, 30 images (golden)" in shown
    (past,) = [line for line in shown.splitlines() if line.startswith("past failures")]
    assert "20" in past and "1.000 → 0.000" in past
    assert "failed  mended failures" in shown and "label circle" in shown and "source <b>cam</b>" in shown
    assert "median 10.0 ms, p90 15.0 ms by torch fp32" in shown


def test_before_there_was_a_champion_it_has_no_figures(reached: Service) -> None:
    """A 0 would pass for those of a model; the candidate's are told alone."""
    controller = _working(reached.services.controller, Forgetful())
    cycle = replace(controller.advance(controller.request("shapes", "op", "first", {})), champion_id=None)
    while cycle.step is not Step.PROMOTE:
        cycle = controller.advance(cycle)
    told = reached.call("GET", f"/v1/projects/shapes/cycles/{cycle.id}").json()
    assert told["evaluation"]["before"] == {"map50": None, "map50_95": None}
    for measure in ("map50", "map50_95"):
        assert told["decision"][measure] == {
            "champion": None, "candidate": told["evaluation"]["after"][measure],
            "delta": None, "interval": None, "lower_bound": None,
        }  # fmt: skip
    shown = run("cycle", "show", cycle.id)
    assert "passed  first model" in shown and "→" not in shown
