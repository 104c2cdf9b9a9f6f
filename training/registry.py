"""Runs and model versions in MLflow. The only module that imports it; the database decides, this mirrors.

MLflow is imported at the first use, and its SQLite file is made then: together some seconds.
"""

import contextlib
import json
import logging
import math
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import yaml

from loop.domain.errors import Unavailable
from loop.domain.identity import digest_of
from loop.domain.model import ModelHead

Alias = Literal["champion", "candidate"]
RunStatus = Literal["FINISHED", "FAILED", "KILLED"]

_CYCLE, _DIGEST = "askance.cycle", "askance.digest"
_ODD = re.compile(r"[^\w\-. /]")  # what MLflow does not take in the name of a metric or parameter
_LONGEST_PARAM = 6000  # characters, MLflow's limit
_PARAMS_AT_ONCE = 100  # MLflow's limit
# Read by MLflow at its import and at each request. Its own patience is several minutes.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


class Registry:
    """A connection to MLflow. Every method raises Unavailable where MLflow cannot be reached or refuses.

    tracking_uri: sqlite:///… or http(s)://…. artifact_root: folder or URL for the files of new experiments; None
    leaves it to the server. prefix: begins the names of experiments and registered models. Doing a step again
    after a restart finds what it did before: runs by their cycle, versions by the digest of their weights.
    """

    def __init__(self, tracking_uri: str, artifact_root: str | Path | None = None, *, prefix: str = "askance") -> None:
        self._uri = tracking_uri
        self._artifact_root = None if artifact_root is None else str(artifact_root)
        self._prefix = prefix
        self._opening = threading.Lock()
        self._opened: Any = None

    def open(self) -> None:
        """Connect now, rather than at the first use."""
        self._client()

    def start_cycle_run(
        self, project: str, cycle_id: str, params: Mapping[str, object], tags: Mapping[str, str]
    ) -> str:
        """The id of the run of this cycle in the project's experiment, begun if there is none."""
        with self._reachable() as client:
            experiment = self._experiment(client, project)
            found = client.search_runs([experiment], f"tags.`{_CYCLE}` = '{cycle_id}'", max_results=1)
            if found:
                return str(found[0].info.run_id)
            run = client.create_run(experiment, tags={**tags, _CYCLE: cycle_id}, run_name=cycle_id)
            run_id = str(run.info.run_id)
            self._log_params(client, run_id, params)
            return run_id

    def log_metrics(self, run_id: str, figures: Mapping[str, float], step: int) -> None:
        """`figures` at `step`. Values that are not finite are left out."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        metrics = [Metric(_plain(name), float(v), now, step) for name, v in figures.items() if math.isfinite(v)]
        if metrics:
            with self._reachable() as client:
                client.log_batch(run_id, metrics=metrics)

    def log_artifact_bytes(self, run_id: str, name: str, content: bytes) -> None:
        """A file of the run. name: a relative path, folders separated by a slash."""
        with self._reachable() as client:
            self._put(client, run_id, name, content)

    def register(
        self, project: str, run_id: str, weights: bytes, digest: str, head: ModelHead, tags: Mapping[str, str]
    ) -> str:
        """Keep `weights` (SHA-256 `digest`) with the run and as a version of the project's model; its number. Beside
        them lies what they take and give (`signature`), as MLflow reads it."""
        if digest_of(weights) != digest:
            raise Unavailable(f"the weights are not those of the digest {digest}.", hint="Run the cycle again.")
        name = self._model_name(project)
        with self._reachable() as client:
            self._ensure_model(client, name)
            for version in client.search_model_versions(f"name = '{name}'"):
                if version.tags.get(_DIGEST) == digest:
                    return str(version.version)
            self._put(client, run_id, "model/weights.safetensors", weights)
            self._put(client, run_id, "model/MLmodel", _description(run_id, head).encode())
            source = f"{client.get_run(run_id).info.artifact_uri}/model"
            created = client.create_model_version(
                name, source, run_id, tags={**tags, _DIGEST: digest}, await_creation_for=0
            )
            return str(created.version)

    def alias(self, project: str, version: str, name: Alias) -> None:
        """Let `name` point at this version of the project's model, and at no other."""
        with self._reachable() as client:
            client.set_registered_model_alias(self._model_name(project), name, version)

    def finish(self, run_id: str, status: RunStatus) -> None:
        with self._reachable() as client:
            client.set_terminated(run_id, status)

    # --- MLflow ----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _reachable(self) -> Iterator[Any]:
        client = self._client()
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield client
        except (MlflowException, SQLAlchemyError, OSError) as error:
            raise self._unavailable(error) from error

    def _client(self) -> Any:
        with self._opening:
            if self._opened is None:
                self._opened = self._connected()
            return self._opened

    def _connected(self) -> Any:
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        self._make_folder()
        from mlflow.tracking import MlflowClient

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.ERROR)  # they announce each table that they make
        try:
            return MlflowClient(self._uri, self._uri)
        except Exception as error:  # of the driver, of alembic, of MLflow: all mean that it is not there
            raise self._unavailable(error) from error

    def _make_folder(self) -> None:
        """SQLite makes the file, not its folder."""
        path = self._uri.removeprefix("sqlite:///")
        if path != self._uri and path:
            with contextlib.suppress(OSError):  # SQLite then says what is wrong
                Path(path).parent.mkdir(parents=True, exist_ok=True)

    def _unavailable(self, error: Exception) -> Unavailable:
        lines = str(error).splitlines()
        return Unavailable(
            f"MLflow did not do as asked: {lines[0][:300] if lines else type(error).__name__}",
            hint="Check mlflow.tracking_uri, and that the server or the file behind it can be reached.",
        )

    def _experiment(self, client: Any, project: str) -> str:
        from mlflow.exceptions import MlflowException

        name = f"{self._prefix}/{project}"
        found = client.get_experiment_by_name(name)
        if found is None:
            try:
                return str(client.create_experiment(name, artifact_location=self._artifacts_of(project)))
            except MlflowException:
                found = client.get_experiment_by_name(name)  # another process was first
                if found is None:
                    raise
        return str(found.experiment_id)

    def _artifacts_of(self, project: str) -> str | None:
        if self._artifact_root is None:
            return None
        if "://" in self._artifact_root:
            return f"{self._artifact_root.rstrip('/')}/{project}"
        return (Path(self._artifact_root).resolve() / project).as_uri()

    def _ensure_model(self, client: Any, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def _model_name(self, project: str) -> str:
        return f"{self._prefix}-{project}"

    def _log_params(self, client: Any, run_id: str, params: Mapping[str, object]) -> None:
        from mlflow.entities import Param

        entries = [Param(_plain(name), str(value)[:_LONGEST_PARAM]) for name, value in params.items()]
        for begin in range(0, len(entries), _PARAMS_AT_ONCE):
            client.log_batch(run_id, params=entries[begin : begin + _PARAMS_AT_ONCE])

    def _put(self, client: Any, run_id: str, name: str, content: bytes) -> None:
        folder, _, file_name = name.rpartition("/")
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / file_name
            file.write_bytes(content)
            client.log_artifact(run_id, str(file), folder or None)


def _description(run_id: str, head: ModelHead) -> str:
    """An MLmodel file (mlflow.models.Model). It names no flavor of MLflow's own, as MLflow could not run the model."""
    signature = {
        "inputs": [_tensor("images", "uint8", -1, -1, -1, 3)],
        "outputs": [
            _tensor("boxes", "float32", -1, 4),
            _tensor("scores", "float32", -1),
            _tensor("classes", "int64", -1),
            _tensor("class_scores", "float32", -1, len(head.labels)),
            _tensor("embedding", "float32", head.embedding_dim),
        ],
    }
    flavor = {"data": "weights.safetensors", "backend": head.backend, "image_size": head.image_size}
    description = {
        "artifact_path": "model",
        "run_id": run_id,
        "flavors": {"askance": {**flavor, "labels": list(head.labels)}},
        "signature": {side: json.dumps(tensors) for side, tensors in signature.items()},
    }
    return yaml.safe_dump(description, allow_unicode=True, sort_keys=False)


def _tensor(name: str, dtype: str, *shape: int) -> dict[str, object]:
    return {"name": name, "type": "tensor", "tensor-spec": {"dtype": dtype, "shape": list(shape)}}


def _plain(name: str) -> str:
    return _ODD.sub("_", name)
