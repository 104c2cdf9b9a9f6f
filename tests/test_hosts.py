"""On several machines, nothing that they must share may lie on one of them."""

from pathlib import Path

import pytest

from loop.domain.errors import SettingsError
from loop.settings import Settings, load_settings
from serving.hosts import require_shared_state
from serving.transport import set_environment

ONE = frozenset({"10.0.0.1"})
TWO = ONE | {"10.0.0.2"}
SHARED = {
    "ASKANCE_DATABASE__URL": "postgresql://db/askance",
    "ASKANCE_BLOBS__URL": "s3://bucket/askance",
}
SHARED_RUNS = {
    "ASKANCE_MLFLOW__TRACKING_URI": "http://mlflow:5000",
    "ASKANCE_MLFLOW__ARTIFACT_ROOT": "s3://bucket/mlflow",
}


def settings(tmp_path: Path, **variables: str) -> Settings:
    return load_settings(None, {"ASKANCE_DATA_DIR": str(tmp_path), **variables})


def test_one_machine_may_keep_everything(tmp_path: Path) -> None:
    """Several Ray nodes on one machine share its disk, SQLite file and all."""
    require_shared_state(settings(tmp_path), ONE, wandering=True)


def test_several_machines_with_shared_state_are_fine(tmp_path: Path) -> None:
    """PostgreSQL and an object store; runs may stay where `askance up` runs, unless the loop wanders."""
    require_shared_state(settings(tmp_path, **SHARED), TWO)
    require_shared_state(settings(tmp_path, **SHARED, **SHARED_RUNS), TWO, wandering=True)


@pytest.mark.parametrize(
    ("missing", "wandering", "key"),
    [
        ("ASKANCE_DATABASE__URL", False, "database.url"),
        ("ASKANCE_BLOBS__URL", False, "blobs.url"),
        ("ASKANCE_MLFLOW__TRACKING_URI", True, "mlflow.tracking_uri"),
        ("ASKANCE_MLFLOW__ARTIFACT_ROOT", True, "mlflow.artifact_root"),
    ],
)
def test_what_lies_on_one_of_several_machines_is_refused(
    tmp_path: Path, missing: str, wandering: bool, key: str
) -> None:
    """The error names the key, and the hint what to set instead."""
    variables = {name: value for name, value in {**SHARED, **SHARED_RUNS}.items() if name != missing}
    with pytest.raises(SettingsError) as refused:
        require_shared_state(settings(tmp_path, **variables), TWO, wandering=wandering)
    assert refused.value.ids["keys"] == [key]
    assert f"{key} ({missing})" in refused.value.hint


def test_a_file_url_is_a_local_folder(tmp_path: Path) -> None:
    """Whatever way it is spelt."""
    with pytest.raises(SettingsError):
        require_shared_state(settings(tmp_path, **{**SHARED, "ASKANCE_BLOBS__URL": f"file://{tmp_path}"}), TWO)


@pytest.mark.parametrize("address", ["auto", "ray-head:6379", "10.0.0.1:6379", "[fd00::1]:6379"])
def test_addresses_of_a_cluster(tmp_path: Path, address: str) -> None:
    """`auto`, or the address of a head."""
    assert settings(tmp_path, ASKANCE_SERVING__RAY_ADDRESS=address).serving.ray_address == address


@pytest.mark.parametrize("address", ["ray://head:10001", "head", "local"])
def test_other_addresses_are_refused(tmp_path: Path, address: str) -> None:
    """Ray Client would carry none of what Ray Serve is asked for."""
    with pytest.raises(SettingsError, match=r"serving\.ray_address"):
        settings(tmp_path, ASKANCE_SERVING__RAY_ADDRESS=address)


def test_a_cluster_keeps_its_own_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The nodes were started with theirs; only libraries that call home are silenced in this process."""
    environment: dict[str, str] = {}
    monkeypatch.setattr("os.environ", environment)
    set_environment(settings(tmp_path, ASKANCE_SERVING__RAY_ADDRESS="auto"))
    assert environment["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert not [name for name in environment if name.startswith("RAY_")]
