"""Model versions."""

from collections.abc import Mapping

from sqlalchemy import Connection, select, update

from loop.domain.errors import Conflict
from loop.domain.model import ModelVersion
from loop.store.configuration import raise_revision
from loop.store.schema import models
from loop.store.statements import columns, first, inserted, not_found, one


class SqlModels:
    """Implements `loop.domain.ports.Models`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def add(self, model: ModelVersion) -> None:
        """Raises Conflict where the project has a model with this digest, naming it."""
        raise_revision(self._connection)
        if not inserted(self._connection, models, columns(model)):
            known = self.by_digest(model.project_id, model.digest)
            raise Conflict(
                f"these weights are registered already, as {known.id if known else model.id}.",
                hint="Use that model version.",
                model=known.id if known else model.id,
            )

    def get(self, project_id: str, model_id: str) -> ModelVersion:
        """Raises NotFound."""
        return ModelVersion(**one(self._connection, models, "model", project_id=project_id, id=model_id)._mapping)

    def by_digest(self, project_id: str, digest: str) -> ModelVersion | None:
        row = first(self._connection, models, project_id=project_id, digest=digest)
        return None if row is None else ModelVersion(**row._mapping)

    def all(self, project_id: str) -> list[ModelVersion]:
        rows = self._connection.execute(
            select(models)
            .where(models.c.project_id == project_id)
            .order_by(models.c.created_at.desc(), models.c.id.desc())
        )
        return [ModelVersion(**row._mapping) for row in rows]

    def save(self, model: ModelVersion) -> None:
        """Write reference_key and notes; not what is written by the methods below, which may change
        while a reference set is made, and what a version is never changes. Raises NotFound."""
        self._write(model.project_id, model.id, reference_key=model.reference_key, notes=model.notes)

    def recorded(self, project_id: str, model_id: str, mlflow_version: str) -> None:
        """Write which version MLflow has it as. Raises NotFound."""
        self._write(project_id, model_id, mlflow_version=mlflow_version)

    def judge(self, project_id: str, model_id: str, risk_key: str) -> None:
        """Write what was learned of its failures. Raises NotFound."""
        self._write(project_id, model_id, risk_key=risk_key)

    def refer(self, project_id: str, model_id: str, drift_key: str) -> None:
        """Write what drift is measured against. Raises NotFound."""
        self._write(project_id, model_id, drift_key=drift_key)

    def configure(self, project_id: str, model_id: str, serving: Mapping[str, object]) -> None:
        """Write the serving options. Raises NotFound."""
        self._write(project_id, model_id, serving=serving)

    def _write(self, project_id: str, model_id: str, **values: object) -> None:
        raise_revision(self._connection)
        done = self._connection.execute(
            update(models).where(models.c.project_id == project_id, models.c.id == model_id).values(**values)
        )
        if done.rowcount == 0:
            raise not_found("model", project_id=project_id, id=model_id)
