"""What an MLflow was told, in words that do not depend on the ids that it gave."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlparse

_OWN = ("mlflow.runName", "mlflow.user")  # tags that MLflow sets


@dataclass(frozen=True)
class Told:
    """runs: by their name. versions: by number. aliases: to the number of the version."""

    runs: Mapping[str, Mapping[str, Any]]
    versions: Mapping[str, Mapping[str, Any]]
    aliases: Mapping[str, str]


def told(client: Any, prefix: str, project: str, artifacts: Path) -> Told:
    """client: an MlflowClient. artifacts: the folder that a server keeps files in, where runs do not name theirs."""
    experiment = client.get_experiment_by_name(f"{prefix}/{project}")
    found = [] if experiment is None else client.search_runs([experiment.experiment_id])
    assert len({run.info.run_name for run in found}) == len(found), "a cycle has two runs"
    names = {run.info.run_id: run.info.run_name for run in found}
    model = f"{prefix}-{project}"
    versions = client.search_model_versions(f"name = '{model}'")
    return Told(
        runs={run.info.run_name: _run(client, run, artifacts) for run in found},
        versions={str(v.version): {"run": names[v.run_id], "tags": dict(v.tags)} for v in versions},
        aliases={name: str(v) for name, v in client.get_registered_model(model).aliases.items()} if versions else {},
    )


def _run(client: Any, run: Any, artifacts: Path) -> Mapping[str, Any]:
    points = [point for key in run.data.metrics for point in client.get_metric_history(run.info.run_id, key)]
    return {
        "status": run.info.status,
        "begun": run.info.start_time,
        "ended": run.info.end_time,
        "params": dict(run.data.params),
        "tags": {name: value for name, value in run.data.tags.items() if name not in _OWN},
        "points": sorted((point.key, point.step, point.timestamp, point.value) for point in points),
        "files": _files(_folder(run, artifacts), run.info.run_id),
    }


def _folder(run: Any, artifacts: Path) -> Path:
    uri = urlparse(run.info.artifact_uri)
    return Path(unquote(uri.path)) if uri.scheme == "file" else artifacts / uri.path.lstrip("/")


def _files(folder: Path, run_id: str) -> Mapping[str, bytes]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): file.read_bytes().replace(run_id.encode(), b"the run") for file in files}
