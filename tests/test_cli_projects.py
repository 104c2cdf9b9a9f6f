"""`askance project create`: of plain labels, or of a whole recipe."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from loop.cli import app
from loop.domain.errors import Invalid
from loop.domain.project import Project
from loop.domain.recipes.recipe import BadRecipe
from loop.domain.routing import Policy
from loop.recipes.document import checked_document
from serving.api.presenters import project_out
from serving.api.schemas.projects import ProjectOut

POLICY = Policy(version=1, threshold=0.5, audit_rate=0.02, score_threshold=0.25, failure_iou=0.5, lease_seconds=60)


class Service:
    """Stands in for the client, and notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def create_project(self, project: str, labels: list[str], *, recipe: dict[str, object] | None) -> ProjectOut:
        self.asked.append(recipe or labels)
        made = checked_document(recipe or {"labels": labels}).recipe(1)
        return project_out(
            Project(id=project, recipe=made, policy=POLICY, champion_id=None, created_at=datetime.now(UTC))
        )


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    made = Service()
    monkeypatch.setattr("loop.cli.projects.client_of", lambda *_: made)
    return made


def test_a_project_is_made_of_labels_or_of_a_recipe(service: Service, tmp_path: Path) -> None:
    """All that the file says is sent."""
    file = tmp_path / "recipe.yaml"
    file.write_text("labels: [left, {name: hand, geometry: point}]\nguidelines: Look twice.\n")
    runner = CliRunner()
    assert "2 labels" in runner.invoke(app, ["project", "create", "street", "--labels", "car, bus"]).output
    assert "2 labels" in runner.invoke(app, ["project", "create", "hands", "--recipe", str(file)]).output
    hand = {"name": "hand", "geometry": "point"}
    assert service.asked == [["car", "bus"], {"labels": [{"name": "left"}, hand], "guidelines": "Look twice."}]


def test_what_cannot_be_a_project_is_not_asked_for(service: Service, tmp_path: Path) -> None:
    """Neither or both of labels and recipe; a file that there is not, or that is no recipe."""
    file = tmp_path / "recipe.yaml"
    file.write_text("labels: []\n")
    for options in ([], ["--labels", "car", "--recipe", str(file)], ["--recipe", str(tmp_path / "none")]):
        result = CliRunner().invoke(app, ["project", "create", "street", *options])
        assert isinstance(result.exception, Invalid) and result.exception.hint
    result = CliRunner().invoke(app, ["project", "create", "street", "--recipe", str(file)])
    assert isinstance(result.exception, BadRecipe)
    assert service.asked == []
