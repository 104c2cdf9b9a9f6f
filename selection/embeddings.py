"""Embeddings as they are kept, and as they are compared."""

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


def units(features: NDArray[np.floating]) -> NDArray[np.float32]:
    """(m, e) rows to length 1, which rounding to float16 takes from them; zeros stay."""
    rows = features.astype(np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(lengths > 0.0, lengths, np.float32(1.0)))
