"""`askance select`, `duplicates` and `risk report`: what they ask the service for, and what they show."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from loop.cli import app
from selection.strategies.table import STRATEGIES
from serving.api.schemas.objects import DuplicatesOut
from serving.api.schemas.selections import PickOut, RiskOut, SelectionIn, SelectionOut


def selected(picked: int = 2, *, dry_run: bool = False, notes: tuple[str, ...] = ()) -> SelectionOut:
    picks = [
        PickOut(
            rank=rank, item_digest=f"{rank:064x}", prediction_id="pred", task_id=None, strategy="hybrid", score=0.5,
            reason=f"risk [0.{rank}]", inclusion_probability=None,
        )
        for rank in range(1, picked + 1)
    ]  # fmt: skip
    return SelectionOut.model_validate(
        {
            "id": "sel_1", "project_id": "p", "model_id": "m", "mix": {"random": 0.15, "hybrid": 0.85}, "budget": 9,
            "seed": 4, "conditions": {}, "like_items": [], "pool": 90, "picked": picked, "actor": "Ada",
            "created_at": "2026-05-01T00:00:00Z", "dry_run": dry_run, "notes": list(notes), "picks": picks,
        }
    )  # fmt: skip


QUALITY = {
    "reviews": 80, "failures": 30, "failure_rate": 0.375, "auroc": 0.87, "brier": 0.14, "base": 0.23,
    "reliability": [[0.1, 0.05, 0.5], [0.7, 0.8, 0.5]],
}  # fmt: skip
NOTHING = {
    "model_id": "m",
    "in_use": "heuristic",
    "learned_at": None,
    "reviewed": 0,
    "learned": None,
    "why": "0 reviews; it takes 50.",
    "routed_by": None,
}


class Service:
    """Stands in for the client, and notes what it is asked."""

    def __init__(self, selection: SelectionOut | None = None, risk: dict[str, object] | None = None) -> None:
        self.selection = selection or selected()
        self.status = RiskOut.model_validate(risk or NOTHING)
        self.asked: list[tuple[str, SelectionIn]] = []
        self.duplicates_asked: dict[str, object] = {}

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def select(self, project: str, wish: SelectionIn) -> SelectionOut:
        self.asked.append((project, wish))
        return self.selection

    def duplicates(self, _project: str, **asked: object) -> Iterator[DuplicatesOut]:
        self.duplicates_asked = asked
        clusters = [{"size": 9 - number, "items": [f"{number:064x}"] * 3} for number in range(4)]
        for page, following in ((clusters[:2], "8:0"), (clusters[2:], None)):
            yield DuplicatesOut.model_validate(
                {"model_id": "m", "threshold": 0.5, "items": 90, "clusters": 4, "spare": 26, "page": page,
                 "next": following}
            )  # fmt: skip

    def risk(self, _project: str) -> RiskOut:
        return self.status


def askance(*arguments: str) -> str:
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, list(arguments), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def refused(*arguments: str) -> str:
    done = CliRunner(env={"COLUMNS": "200"}).invoke(app, list(arguments))
    assert done.exit_code != 0
    return f"{done.output} {done.exception}"


def with_service(monkeypatch: pytest.MonkeyPatch, service: Service) -> Service:
    monkeypatch.setenv("ASKANCE_TOKEN", "secret")
    monkeypatch.setattr("serving.client.Client", lambda _url, _token: service)
    return service


def test_a_selection_is_asked_for_and_its_reasons_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    service = with_service(monkeypatch, Service(selected(25, notes=("7 items [were] not kept.",))))
    wanted = "-b 9 -s hybrid=60,random=40 --filter source=camera=3 --like abc --like-box abc:3 --failures 5 --seed 4"
    shown = askance("select", "-p", "p", *wanted.split(), "--random", "0", "--query", "risk > 0.4")
    ((project, wish),) = service.asked
    assert project == "p"
    assert wish == SelectionIn(
        budget=9, strategies={"hybrid": 60.0, "random": 40.0}, filter={"source": "camera=3"}, like=["abc"],
        like_boxes=["abc:3"], failures=5, seed=4, random_share=0.0, query="risk > 0.4",
    )  # fmt: skip
    assert "risk [0.1]" in shown and "… and 5 more" in shown and "7 items [were] not kept." in shown
    assert "25 of 90 are queued for review (15% random, 85% hybrid): sel_1" in shown


def test_a_dry_run_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    service = with_service(monkeypatch, Service(selected(dry_run=True)))
    shown = askance("select", "-p", "p", "-b", "9", "--dry-run")
    assert service.asked[0][1].dry_run and service.asked[0][1].strategies == {}
    assert "A dry run: 2 of 90 would be queued" in shown and "seed 4" in shown


def test_picks_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    with_service(monkeypatch, Service())
    assert json.loads(askance("select", "-p", "p", "-b", "2", "--json"))["picks"][1]["rank"] == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-b", "0"], "greater than or equal to 1"),
        (["-b", "5", "--filter", "source"], "is not NAME=VALUE"),
        (["-b", "5", "-s", "hybrid=much"], "'much' is no share for hybrid"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str) -> None:
    service = with_service(monkeypatch, Service())
    assert words in refused("select", "-p", "p", *arguments)
    assert service.asked == []


def test_the_risk_report_shows_what_was_learned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    learned = {"fitted_on": 80, "quality": QUALITY, "audits": None}
    with_service(
        monkeypatch,
        Service(risk=NOTHING | {"reviewed": 80, "learned": learned, "why": "", "routed_by": QUALITY | {"auroc": 0.6}}),
    )
    plot = tmp_path / "risk.png"
    shown = askance("risk", "report", "-p", "p", "--plot", str(plot))
    assert "0.870" in shown and "0.600" in shown and "reviews held out" in shown
    with Image.open(plot) as image:
        assert image.size[0] > 500
    assert json.loads(askance("risk", "report", "-p", "p", "--json"))["learned"]["fitted_on"] == 80


def test_a_risk_report_without_reviews_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with_service(monkeypatch, Service())
    assert "Nothing is learned yet: 0 reviews" in askance("risk", "report", "-p", "p")
    assert "nothing to plot" in refused("risk", "report", "-p", "p", "--plot", str(tmp_path / "a.png"))
    assert not list(tmp_path.iterdir())


def test_a_plot_of_another_kind_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with_service(monkeypatch, Service(risk=NOTHING | {"routed_by": QUALITY}))
    assert "a plot cannot be a .txt" in refused("risk", "report", "-p", "p", "--plot", str(tmp_path / "a.txt"))


def test_the_help_names_all_strategies() -> None:
    told = CliRunner().invoke(app, ["select", "--help"], env={"COLUMNS": "1000"}).stdout
    named = re.search(r"There are: ([a-z, -]+)\.", told)
    assert named is not None and set(named[1].split(", ")) == set(STRATEGIES)


def test_near_duplicates_are_shown_the_largest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """And as JSON all of them, a line each."""
    service = with_service(monkeypatch, Service())
    shown = askance("duplicates", "-p", "p", "--threshold", "0.5")
    assert service.duplicates_asked["threshold"] == 0.5
    assert "9       000000000000 000000000000 000000000000 …" in shown and "… and 2 more" in shown
    assert "4 clusters of near-duplicates (cosine 0.5 or more); 26 of 90 images could go." in shown
    lines = [json.loads(line) for line in askance("duplicates", "-p", "p", "--json").splitlines()]
    assert [line["size"] for line in lines] == [9, 8, 7, 6] and service.duplicates_asked["threshold"] is None


def test_near_duplicates_can_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    service = with_service(monkeypatch, Service())
    askance("select", "-p", "p", "-b", "9", "--no-duplicates")
    assert service.asked[0][1].no_duplicates
