"""What a cycle leaves in MLflow."""

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from loop.domain.errors import Unavailable
from loop.domain.identity import digest_of
from loop.domain.model import ModelHead
from training.registry import Registry

WEIGHTS = b"weights of a model"
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
    run = registry.start_cycle_run("blood", "cycle_1", {"epochs": 3, "labels": "a" * 9000}, {"actor": "ann"})
    registry.log_metrics(run, {"metrics/mAP50": 0.5, "train/box (B)": 1.0, "val/nothing": float("nan")}, step=2)
    registry.log_artifact_bytes(run, "reports/decision.json", b"{}")
    registry.finish(run, "FINISHED")
    params = dict(rows(folder, "SELECT key, value FROM params WHERE run_uuid = ?", run))
    assert params["epochs"] == "3" and len(str(params["labels"])) == 6000
    assert rows(folder, "SELECT key, value, step FROM metrics WHERE run_uuid = ? ORDER BY key", run) == [
        ("metrics/mAP50", 0.5, 2),
        ("train/box _B_", 1.0, 2),
    ]
    assert rows(folder, "SELECT status FROM runs WHERE run_uuid = ?", run) == [("FINISHED",)]
    assert [path.read_bytes() for path in (folder / "artifacts" / "blood").rglob("reports/decision.json")] == [b"{}"]


def test_a_cycle_that_is_started_again_goes_on_in_its_run(registry: Registry) -> None:
    first = registry.start_cycle_run("blood", "cycle_2", {"epochs": 3}, {})
    assert registry.start_cycle_run("blood", "cycle_2", {"epochs": 3}, {}) == first
    assert registry.start_cycle_run("blood", "cycle_3", {"epochs": 3}, {}) != first


def test_a_model_is_registered_once_with_its_bytes_and_carries_its_aliases(registry: Registry, folder: Path) -> None:
    run = registry.start_cycle_run("cells", "cycle_4", {}, {})
    digest = digest_of(WEIGHTS)
    version = registry.register("cells", run, WEIGHTS, digest, HEAD, {"model": "m1"})
    assert registry.register("cells", run, WEIGHTS, digest, HEAD, {"model": "m1"}) == version
    other = registry.register("cells", run, b"other", digest_of(b"other"), HEAD, {})
    assert other != version
    registry.alias("cells", version, "champion")
    registry.alias("cells", other, "candidate")
    registry.alias("cells", other, "champion")
    found = rows(folder, "SELECT alias, version FROM registered_model_aliases WHERE name = ?", "askance-cells")
    assert sorted(found) == [("candidate", int(other)), ("champion", int(other))]
    assert any(path.read_bytes() == b"other" for path in (folder / "artifacts" / "cells").rglob("weights.safetensors"))


def test_weights_that_are_not_those_of_their_digest_are_not_registered(registry: Registry) -> None:
    run = registry.start_cycle_run("cells", "cycle_5", {}, {})
    with pytest.raises(Unavailable, match="digest"):
        registry.register("cells", run, b"tampered", digest_of(WEIGHTS), HEAD, {})


def test_a_model_says_what_it_takes_and_gives(registry: Registry, folder: Path) -> None:
    """In the form that MLflow reads: images of any size, and of each the boxes, scores, classes and the embedding."""
    run = registry.start_cycle_run("cars", "cycle_6", {}, {})
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


def test_an_unknown_run_is_an_error_of_ours(registry: Registry) -> None:
    with pytest.raises(Unavailable, match="MLflow"):
        registry.finish("0" * 32, "FAILED")


@pytest.mark.parametrize("uri", ["sqlite:////proc/nowhere/mlflow.db", "http://127.0.0.1:9", "carrier-pigeon://x"])
def test_an_mlflow_that_cannot_be_reached_is_unavailable(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(Unavailable, match="MLflow") as caught:
        Registry(uri).start_cycle_run("p", "c", {}, {})
    assert "mlflow.tracking_uri" in caught.value.hint


def test_mlflow_is_loaded_at_its_first_use_and_says_and_leaves_nothing(
    first_use: subprocess.CompletedProcess[str], folder: Path
) -> None:
    assert (first_use.returncode, first_use.stdout, first_use.stderr) == (0, "", "")
    assert list((folder / "home").rglob("*")) == []
