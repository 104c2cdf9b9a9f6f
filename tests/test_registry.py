"""What a cycle leaves in MLflow."""

import os
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from loop.domain.errors import Declined, Unavailable
from loop.domain.identity import digest_of
from loop.domain.model import ModelHead
from training.registry import Registry

WEIGHTS = b"weights of a model"
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
MOMENT = 1_767_268_800_000  # of NOW, as MLflow has it
HEAD = ModelHead(
    backend="torchvision",
    architecture={"builder": "fcos_resnet50_fpn"},
    labels=("car", "größer"),
    image_size=640,
    embedding_dim=16,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mlflow")


@pytest.fixture(scope="module")
def first_use(folder: Path) -> subprocess.CompletedProcess[str]:
    """The first use ever, which makes MLflow's database, in a process and a home of its own."""
    script = (
        "import sys; from training.registry import Registry;"
        f"registry = Registry('sqlite:///{folder}/runs/mlflow.db', '{folder}/artifacts');"
        "assert 'mlflow' not in sys.modules;"
        "registry.open()"
    )
    (folder / "home").mkdir()
    return subprocess.run(
        [sys.executable, "-c", script],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "HOME": str(folder / "home")},
    )


@pytest.fixture(scope="module")
def registry(first_use: object, folder: Path) -> Registry:
    return Registry(f"sqlite:///{folder}/runs/mlflow.db", folder / "artifacts")


def rows(folder: Path, query: str, *values: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(folder / "runs" / "mlflow.db") as database:
        return database.execute(query, values).fetchall()


def test_a_run_keeps_its_settings_figures_files_and_outcome(registry: Registry, folder: Path) -> None:
    """At the moments when it happened; and once, however often it is told."""
    figures = {"metrics/mAP50": 0.5, "train/box (B)": 1.0, "val/nothing": float("nan")}
    for _ in range(2):
        run = registry.run_of("blood", "cycle_1", NOW)
        registry.describe(run, {"epochs": 3, "labels": "a" * 9000}, {"actor": "ann"})
        registry.log_metrics(run, figures, 2, NOW + timedelta(seconds=1))
        registry.log_artifact_bytes(run, "reports/decision.json", b"{}")
        registry.finish(run, "FINISHED", NOW + timedelta(seconds=2))
    params = dict(rows(folder, "SELECT key, value FROM params WHERE run_uuid = ?", run))
    assert params["epochs"] == "3" and len(str(params["labels"])) == 6000
    assert rows(folder, "SELECT key, value, step, timestamp FROM metrics WHERE run_uuid = ? ORDER BY key", run) == [
        ("metrics/mAP50", 0.5, 2, MOMENT + 1000),
        ("train/box _B_", 1.0, 2, MOMENT + 1000),
    ]
    found = rows(folder, "SELECT run_uuid, status, start_time, end_time FROM runs WHERE name = 'cycle_1'")
    assert found == [(run, "FINISHED", MOMENT, MOMENT + 2000)]
    assert ("ann",) in rows(folder, "SELECT value FROM tags WHERE run_uuid = ? AND key = 'actor'", run)
    assert [path.read_bytes() for path in (folder / "artifacts" / "blood").rglob("reports/decision.json")] == [b"{}"]


def test_a_cycle_that_is_started_again_goes_on_in_its_run(registry: Registry) -> None:
    first = registry.run_of("blood", "cycle_2", NOW)
    assert registry.run_of("blood", "cycle_2", NOW + timedelta(hours=1)) == first
    assert registry.run_of("blood", "cycle_3", NOW) != first


def test_a_model_is_registered_once_with_its_bytes_and_carries_its_aliases(registry: Registry, folder: Path) -> None:
    run = registry.run_of("cells", "cycle_4", NOW)
    digest = digest_of(WEIGHTS)
    version = registry.register("cells", run, WEIGHTS, digest, HEAD, {"model": "m1"})
    assert registry.register("cells", run, WEIGHTS, digest, HEAD, {"model": "m1"}) == version
    other = registry.register("cells", run, b"other", digest_of(b"other"), HEAD, {})
    assert other != version

    def aliases() -> list[tuple[object, ...]]:
        query = "SELECT alias, version FROM registered_model_aliases WHERE name = ? ORDER BY alias"
        return rows(folder, query, "askance-cells")

    for _ in range(2):
        registry.set_aliases("cells", {"champion": version, "candidate": other})
        assert aliases() == [("candidate", int(other)), ("champion", int(version))]
    for _ in range(2):
        registry.set_aliases("cells", {"champion": other, "candidate": None})
        assert aliases() == [("champion", int(other))]
    assert any(path.read_bytes() == b"other" for path in (folder / "artifacts" / "cells").rglob("weights.safetensors"))


def test_weights_that_are_not_those_of_their_digest_are_not_registered(registry: Registry) -> None:
    run = registry.run_of("cells", "cycle_5", NOW)
    with pytest.raises(Unavailable, match="digest"):
        registry.register("cells", run, b"tampered", digest_of(WEIGHTS), HEAD, {})


def test_a_model_says_what_it_takes_and_gives(registry: Registry, folder: Path) -> None:
    """In the form that MLflow reads: images of any size, and of each the boxes, scores, classes and the embedding."""
    run = registry.run_of("cars", "cycle_6", NOW)
    registry.register("cars", run, WEIGHTS, digest_of(WEIGHTS), HEAD, {})
    from mlflow.models import Model

    (written,) = (folder / "artifacts" / "cars").rglob("MLmodel")
    read = Model.load(str(written))
    assert read.run_id == run and read.flavors["askance"]["labels"] == ["car", "größer"]
    assert [(one.name, str(one.type), one.shape) for one in read.signature.inputs] == [
        ("images", "uint8", (-1, -1, -1, 3))
    ]
    shapes = {one.name: one.shape for one in read.signature.outputs}
    assert (shapes["boxes"], shapes["class_scores"], shapes["embedding"]) == ((-1, 4), (-1, 2), (16,))


def test_what_mlflow_says_no_to_is_declined(registry: Registry) -> None:
    """It is there, so that to ask again would not help: a run that nobody knows, a setting that has another value."""
    with pytest.raises(Declined, match="MLflow"):
        registry.finish("0" * 32, "FAILED", NOW)
    run = registry.run_of("cells", "cycle_7", NOW)
    registry.describe(run, {"epochs": 3}, {})
    with pytest.raises(Declined, match="MLflow"):
        registry.describe(run, {"epochs": 4}, {})


def test_a_project_without_versions_has_no_aliases(registry: Registry) -> None:
    registry.set_aliases("nobody", {"champion": None, "candidate": None})


@pytest.mark.parametrize("uri", ["sqlite:////proc/nowhere/mlflow.db", "http://127.0.0.1:9", "carrier-pigeon://x"])
def test_an_mlflow_that_cannot_be_reached_is_unavailable(uri: str) -> None:
    with pytest.raises(Unavailable, match="MLflow") as caught:
        Registry(uri).run_of("p", "c", NOW)
    assert not isinstance(caught.value, Declined)
    assert "mlflow.tracking_uri" in caught.value.hint


def test_mlflow_is_loaded_at_its_first_use_and_says_and_leaves_nothing(
    first_use: subprocess.CompletedProcess[str], folder: Path
) -> None:
    assert (first_use.returncode, first_use.stdout, first_use.stderr) == (0, "", "")
    assert list((folder / "home").rglob("*")) == []
