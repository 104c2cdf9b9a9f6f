"""The embedding of one detection, for those who search by it."""

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import NotFound
from loop.domain.ports import Transaction
from loop.domain.prediction import Prediction


def embedding_of(tx: Transaction, prediction: Prediction, number: int) -> NDArray[np.float16]:
    """(OBJECT_DIM,) of the detection of that number, from 0. Raises NotFound where there is no such detection, or it
    has none."""
    ids = {"item": prediction.item_digest, "prediction": prediction.id}
    name, count = prediction.item_digest[:12], len(prediction.detections)
    if not 0 <= number < count:
        raise NotFound(
            f"item {name} has {count} detections; there is none of number {number}.",
            hint="They are numbered from 0, in the order of its prediction.",
            **ids,
        )
    features = tx.objects.of(prediction.id)
    if features is None:
        raise NotFound(
            f"the detections of item {name} have no embeddings of their own.",
            hint=f"Turn them on (askance models configure {prediction.model_id} object_embeddings=true), "
            "and predict it again.",
            **ids,
        )
    if number >= len(features):
        raise NotFound(
            f"only the {len(features)} most certain detections of item {name} have an embedding.",
            hint="Name one of those.",
            **ids,
        )
    return np.asarray(features[number])
