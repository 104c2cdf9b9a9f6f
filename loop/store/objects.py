"""Embeddings of detections, and the feed that the index of objects follows."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from loop.domain.ports import StoredObjects
from loop.domain.prediction import Prediction
from loop.store.appends import Appends
from loop.store.schema import object_embeddings, predictions
from loop.store.statements import feed_after, first


class SqlObjects:
    """Implements `loop.domain.ports.Objects`."""

    def __init__(self, connection: Connection, appends: Appends) -> None:
        self._connection = connection
        self._appends = appends

    def add_all(self, given: Sequence[tuple[Prediction, NDArray[np.float16]]]) -> None:
        """Written at the end of the transaction, which does not see them itself."""
        for prediction, features in given:
            row = {"prediction_id": prediction.id, "project_id": prediction.project_id, "model_id": prediction.model_id}
            self._appends.add(object_embeddings, row | {"features": features})

    def of(self, prediction_id: str) -> NDArray[np.float16] | None:
        row = first(self._connection, object_embeddings, prediction_id=prediction_id)
        return None if row is None else row.features

    def after(self, project_id: str, model_id: str, sequence: int, limit: int) -> list[StoredObjects]:
        wanted = predictions.c.item_digest, object_embeddings.c.features
        rows = feed_after(
            self._connection,
            object_embeddings,
            *wanted,
            project_id=project_id,
            model_id=model_id,
            sequence=sequence,
            limit=limit,
        )
        return [StoredObjects(**row._mapping) for row in rows]
