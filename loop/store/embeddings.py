"""Embeddings of images and of detections, by the predictions that have them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Column, Connection, select

from loop.store.schema import object_embeddings, predictions
from loop.store.statements import in_parts, not_looked_up


class SqlEmbeddings:
    """Implements `loop.domain.ports.Embeddings`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def of_images(self, project_id: str, prediction_ids: Sequence[str]) -> Mapping[str, NDArray[np.float32]]:
        return self._of(predictions.c.id, predictions.c.embedding, project_id, prediction_ids)

    def of_objects(self, project_id: str, prediction_ids: Sequence[str]) -> Mapping[str, NDArray[np.float16]]:
        return self._of(object_embeddings.c.prediction_id, object_embeddings.c.features, project_id, prediction_ids)

    def _of(self, key: Column[str], value: Column[Any], project_id: str, wanted: Sequence[str]) -> dict[str, Any]:
        sqlite = self._connection.dialect.name == "sqlite"
        of_project = not_looked_up(key.table.c.project_id, sqlite=sqlite) == project_id
        found: dict[str, Any] = {}
        for part in in_parts(wanted):
            rows = self._connection.execute(select(key, value).where(of_project, key.in_(part)))
            found.update((name, embedding) for name, embedding in rows)
        return found
