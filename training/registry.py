"""Runs and model versions in MLflow. The only module that imports it; the database decides, this mirrors.

Whatever is told may be told again, and then changes nothing: runs are found by their cycle, versions by the digest of
their weights; a figure is the same by its name, step, moment and value; files and aliases are written over.

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
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from loop.domain.errors import Declined, Unavailable
from loop.domain.identity import digest_of
from loop.domain.model import ModelHead

_CYCLE, _DIGEST = "askance.cycle", "askance.digest"
_ODD = re.compile(r"[^\w\-. /]")  # what MLflow does not take in the name of a metric or parameter
_LONGEST_PARAM = 6000  # characters, MLflow's limit
_PARAMS_AT_ONCE, _METRICS_AT_ONCE = 100, 1000  # MLflow's limits
# Codes of MLflow that say no to what was asked, for as long as nobody changes something; all others pass.
_NO = frozenset({"BAD_REQUEST", "INVALID_PARAMETER_VALUE", "INVALID_STATE", "RESOURCE_DOES_NOT_EXIST"})
# Read by MLflow at its import and at each request. It must not try again by itself: a run that was made, but whose
# answer was lost, would be made twice.
_ENVIRONMENT = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}


class Registry:
    """A connection to MLflow. Implements `loop.cycle.work.RunRegistry`, whose errors it raises.

    tracking_uri: sqlite:///… or http(s)://…. artifact_root: folder or URL for the files of new experiments; None
    leaves it to the server. prefix: begins the names of experiments and registered models.
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

    def run_of(self, project: str, cycle_id: str, begun_at: datetime) -> str:
        """The id of the run of this cycle in the project's experiment, begun if there is none."""
        with self._reachable() as client:
            experiment = self._experiment(client, project)
            found = client.search_runs([experiment], f"tags.`{_CYCLE}` = '{cycle_id}'", max_results=1)
            if found:
                return str(found[0].info.run_id)
            run = client.create_run(
                experiment, start_time=_milliseconds(begun_at), tags={_CYCLE: cycle_id}, run_name=cycle_id
            )
            return str(run.info.run_id)

    def describe(self, run_id: str, params: Mapping[str, object], tags: Mapping[str, str]) -> None:
        from mlflow.entities import Param, RunTag

        entries = [Param(_plain(name), str(value)[:_LONGEST_PARAM]) for name, value in params.items()]
        with self._reachable() as client:
            client.log_batch(run_id, tags=[RunTag(name, value) for name, value in tags.items()])
            for begin in range(0, len(entries), _PARAMS_AT_ONCE):
                client.log_batch(run_id, params=entries[begin : begin + _PARAMS_AT_ONCE])

    def log_metrics(self, run_id: str, figures: Mapping[str, float], step: int, at: datetime) -> None:
        """`figures` at `step`. Values that are not finite are left out."""
        from mlflow.entities import Metric

        moment = _milliseconds(at)
        metrics = [Metric(_plain(name), float(v), moment, step) for name, v in figures.items() if math.isfinite(v)]
        with self._reachable() as client:
            for begin in range(0, len(metrics), _METRICS_AT_ONCE):
                client.log_batch(run_id, metrics=metrics[begin : begin + _METRICS_AT_ONCE])

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
            raise Declined(f"the weights are not those of the digest {digest}.", hint="Run the cycle again.")
        name = self._model_name(project)
        with self._reachable() as client:
            self._ensure_model(client, name)
            known = client.search_model_versions(f"name = '{name}' AND tags.`{_DIGEST}` = '{digest}'")
            if known:
                return str(known[0].version)
            self._put(client, run_id, "model/weights.safetensors", weights)
            self._put(client, run_id, "model/MLmodel", _description(run_id, head).encode())
            source = f"{client.get_run(run_id).info.artifact_uri}/model"
            created = client.create_model_version(
                name, source, run_id, tags={**tags, _DIGEST: digest}, await_creation_for=0
            )
            return str(created.version)

    def set_aliases(self, project: str, versions: Mapping[str, str | None]) -> None:
        """Let each alias point at its version of the project's model and at no other; at none where that is None."""
        name = self._model_name(project)
        with self._reachable() as client:
            known = self._aliases(client, name)
            for alias, version in versions.items():
                if version is None and alias in known:
                    client.delete_registered_model_alias(name, alias)
                if version is not None and str(known.get(alias)) != version:
                    client.set_registered_model_alias(name, alias, version)

    def finish(self, run_id: str, status: str, at: datetime) -> None:
        """status: FINISHED or FAILED."""
        with self._reachable() as client:
            client.set_terminated(run_id, status, _milliseconds(at))

    # --- MLflow ----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _reachable(self) -> Iterator[Any]:
        client = self._client()
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield client
        except MlflowException as error:
            raise self._unavailable(error, Declined if error.error_code in _NO else Unavailable) from error
        except (SQLAlchemyError, OSError) as error:
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

    def _unavailable(self, error: Exception, kind: type[Unavailable] = Unavailable) -> Unavailable:
        lines = str(error).splitlines()
        return kind(
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

    def _aliases(self, client: Any, name: str) -> Mapping[str, object]:
        """Of a model that is not there: none."""
        from mlflow.exceptions import MlflowException

        try:
            aliases: Mapping[str, object] = client.get_registered_model(name).aliases
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return {}
        return aliases

    def _model_name(self, project: str) -> str:
        return f"{self._prefix}-{project}"

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


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
