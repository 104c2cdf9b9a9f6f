"""Embeddings as bytes: the reference set of a model version, kept in the blob store."""

import io

import numpy as np
from numpy.typing import NDArray


def write_embeddings(embeddings: NDArray[np.float32]) -> bytes:
    """(n, d) float32 as the bytes of a .npy file."""
    buffer = io.BytesIO()
    np.save(buffer, embeddings, allow_pickle=False)
    return buffer.getvalue()


def read_embeddings(content: bytes) -> NDArray[np.float32]:
    """What `write_embeddings` wrote; raises ValueError for anything else (pickles included)."""
    return np.asarray(np.load(io.BytesIO(content), allow_pickle=False), dtype=np.float32)
