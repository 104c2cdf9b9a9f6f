"""Neighbours and clusters of embeddings, by FAISS: exact, for as many points as fit in memory."""

import faiss
import numpy as np
from numpy.typing import NDArray

_ITERATIONS = 20
_PER_CLUSTER = 256  # points that k-means looks at, at most; more do not move its centres


def nearest(
    points: NDArray[np.float32], queries: NDArray[np.float32], k: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(q, k) cosine similarities of each query to its k nearest points, descending, and their rows. Both L2-normalised;
    k <= n. A query that is one of the points finds itself."""
    found, rows = faiss.knn(
        np.ascontiguousarray(queries), np.ascontiguousarray(points), k, metric=faiss.METRIC_INNER_PRODUCT
    )
    return np.asarray(found), np.asarray(rows)


def clustered(points: NDArray[np.float32], count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """(n,) in [0, count): spherical k-means of L2-normalised points, `count` <= n. Clusters may be empty where points
    are equal."""
    points = np.ascontiguousarray(points)
    means = faiss.Kmeans(
        points.shape[1],
        count,
        niter=_ITERATIONS,
        seed=int(rng.integers(2**31)),
        spherical=True,
        min_points_per_centroid=1,
        max_points_per_centroid=_PER_CLUSTER,
    )
    means.train(points)
    _, nearest_mean = means.index.search(points, 1)
    return np.asarray(nearest_mean[:, 0], dtype=np.intp)
