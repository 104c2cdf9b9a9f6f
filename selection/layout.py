"""Where embeddings lie on a plane: some representatives by UMAP, all others beside the representatives they are like.

McInnes, Healy & Melville, "UMAP: uniform manifold approximation and projection", 2018, from the graph of exact nearest
neighbours, begun at the principal components (Kobak & Linderman, Nature Biotechnology 2021: as good as a spectral
beginning, and faster). The others are placed by modified Shepard interpolation (Franke & Nielson, 1980), in which only
representatives count that lie on the plane where the most similar one does: between two places there is nothing.

Positions tell what is near what, and little else. What is unlike everything is found in the full space.
"""

import io
import warnings
from dataclasses import dataclass
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from loop.domain.errors import Invalid
from selection.index import EmbeddingIndex, IndexRules
from selection.neighbours import nearest

NEIGHBOURS = 15  # UMAP's own default
_EPOCHS = 200  # UMAP's own default for many points; few settle in as many
_FEWEST = 3 * NEIGHBOURS  # points: of fewer, principal components say more
_EXACT_UP_TO = 2000  # representatives
_RECALL = 0.9  # of the ten nearest of them; of the very nearest it is 0.98 then
_CORNERS = 10  # representatives that may place a point
_SURROUNDINGS = 5  # neighbours on the plane: what lies within twice the distance of this one is in the same place
_SAME = 1e-4  # distance of embeddings that are one but for rounding
_LEAST = 1e-12
_AT_ONCE = 65_536  # points


@dataclass(frozen=True, slots=True)
class Layout:
    """Representatives in the space of embeddings and on the plane.

    embeddings: (m, d) float32, L2-normalised, no two equal; m >= 1. positions: (m, 2) float32.
    """

    embeddings: NDArray[np.float32]
    positions: NDArray[np.float32]

    def place(self, embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, 2) float32: where (n, d) L2-normalised `embeddings` lie; one that is a representative's, where that does.

        Raises Invalid for another width or NaN.
        """
        index = EmbeddingIndex(self.embeddings.shape[1], IndexRules(exact_up_to=_EXACT_UP_TO, recall=_RECALL))
        index.add([""] * len(self.embeddings), self.embeddings)
        if index.rebuild_due:
            index.rebuild()
        reach = _reach(self.positions)
        placed = np.empty((len(embeddings), 2), dtype=np.float32)
        for start in range(0, len(embeddings), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            similarities, rows = index.search(embeddings[part], min(_CORNERS, len(self.embeddings)))
            placed[part] = self._between(_distances(similarities), rows, reach)
        return placed

    def _between(
        self, distances: NDArray[np.float32], rows: NDArray[np.int64], reach: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """(n, 2) from (n, k) distances to the nearest representatives, ascending, and their rows, -1 for none."""
        distances = np.maximum(distances, _SAME)
        farthest = np.where(rows >= 0, distances, 0.0).max(axis=1, keepdims=True)
        weights = np.where(rows >= 0, (1.0 / distances - 1.0 / farthest) ** 2, 0.0)
        corners = self.positions[rows]
        aside = np.linalg.norm(corners - corners[:, :1], axis=2)
        weights *= np.exp(-((aside / reach[rows[:, :1]]) ** 2))
        weights[:, 0] += _LEAST  # where all are as far
        weights /= weights.sum(axis=1, keepdims=True)
        return np.asarray(np.einsum("nk,nkc->nc", weights, corners), dtype=np.float32)

    def aligned(self, rows: NDArray[np.intp], before: NDArray[np.float32]) -> "Layout":
        """The same, turned, mirrored, scaled and shifted so that the representatives of `rows` come as near as they can
        to where they lay `before`, (len(rows), 2): what is like it was stays where it was for the eye.

        Orthogonal Procrustes (Schönemann, 1966). Fewer than three say nothing, nor do such that lie in one place.
        """
        if len(rows) < 3:
            return self
        own = self.positions[rows]
        centre, goal = own.mean(axis=0), before.mean(axis=0)
        spread = float(np.square(own - centre).sum())
        if not spread > _LEAST:
            return self
        left, values, right = np.linalg.svd((own - centre).T @ (before - goal))
        scale = float(values.sum()) / spread
        if not scale > _LEAST:
            return self
        moved = scale * (self.positions - centre) @ (left @ right) + goal
        return Layout(self.embeddings, np.asarray(moved, dtype=np.float32))

    def to_bytes(self, made_for: str) -> bytes:
        """made_for: kept with it, so that no other layout has the same bytes."""
        buffer = io.BytesIO()
        np.savez(buffer, embeddings=self.embeddings, positions=self.positions, made_for=made_for)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Layout":
        """Raises ValueError for what `to_bytes` did not write (pickles included)."""
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                return cls(arrays["embeddings"], arrays["positions"])
        except (KeyError, TypeError, OSError, EOFError, BadZipFile) as error:
            raise ValueError(f"this is no layout: {error}") from error


def fit(embeddings: NDArray[np.float32], *, seed: int, neighbours: int = NEIGHBOURS) -> tuple[Layout, NDArray[np.intp]]:
    """A layout of (m, d) L2-normalised `embeddings`, and the rows it represents, ascending: of equal ones the first.

    The same seed gives the same. m >= 1; memory and time grow with m, see docs/map.md. Raises Invalid for NaN.
    """
    if not np.isfinite(embeddings).all():
        raise Invalid("an embedding holds NaN or infinity.", hint="Check the model's weights.")
    first = {one.tobytes(): row for row, one in reversed(list(enumerate(embeddings)))}
    rows = np.sort(np.fromiter(first.values(), dtype=np.intp))
    points = np.ascontiguousarray(embeddings[rows])
    begun = _components(points)
    positions = begun if len(points) < _FEWEST else _umap(points, begun, seed, neighbours)
    return Layout(points, positions), rows


def _umap(points: NDArray[np.float32], begun: NDArray[np.float32], seed: int, neighbours: int) -> NDArray[np.float32]:
    from umap import UMAP  # some seconds, for numba

    neighbours = min(neighbours, len(points) - 1)
    similarities, rows = nearest(points, points, neighbours)
    distances = _distances(similarities)
    distances[rows == np.arange(len(points))[:, None]] = 0.0  # not what rounding makes of them: UMAP looks at the least
    model = UMAP(
        n_neighbors=neighbours,
        precomputed_knn=(rows.astype(np.int32), distances, None),
        init=begun,
        n_epochs=_EPOCHS,
        random_state=seed,
        n_jobs=1,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that such a graph serves no transform, which is not asked for
        return np.asarray(model.fit_transform(points), dtype=np.float32)


def _components(points: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 2): along the two directions in which (n, d) points differ most, each with the sign that its sum has."""
    centred = points - points.mean(axis=0)
    _, directions = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    axes = directions[:, :-3:-1]
    return np.asarray(centred @ (axes * np.where(axes.sum(axis=0) < 0, -1.0, 1.0)), dtype=np.float32)


def _distances(similarities: NDArray[np.float32]) -> NDArray[np.float32]:
    """Euclidean ones, of L2-normalised vectors of these cosines."""
    return np.asarray(np.sqrt(np.maximum(0.0, 2.0 - 2.0 * similarities)), dtype=np.float32)


def _reach(positions: NDArray[np.float32]) -> NDArray[np.float32]:
    """(m,): how far each of (m, 2) has its surroundings."""
    nearest_ones, _ = KDTree(positions).query(positions, min(_SURROUNDINGS + 1, len(positions)))
    return np.asarray(2.0 * nearest_ones.reshape(len(positions), -1)[:, -1] + _LEAST, dtype=np.float32)
