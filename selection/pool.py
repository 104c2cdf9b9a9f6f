"""What a strategy chooses from: the unlabelled items of one project as arrays, in one embedding space."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import Invalid
from loop.domain.prediction import MOST_OBJECTS

Features = NDArray[np.float16] | NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Objects:
    """Detections of the pool's items, m in all, ordered by item.

    rows: (m,) int64, the item of each, ascending. classes: (m,) int64 in [0, C). scores: (m,) in [0, 1].
    margins: (m,) in [0, 1], score - that of the next label; NaN in predictions from before it was kept. None where they
    were not asked for.
    features: (m, e) float16 or float32, L2-normalised, one space for all; zeros for detections that have none, as those
    beyond the MOST_OBJECTS most certain of an item. None where they were not asked for. without: how many items have
    detections, and none of them features.
    """

    rows: NDArray[np.int64]
    classes: NDArray[np.int64]
    scores: NDArray[np.float64]
    margins: NDArray[np.float64] | None = None
    features: Features | None = None
    without: int = 0

    def strongest(self, row: int) -> NDArray[np.intp]:
        """The detections of an item, the most certain first, at most MOST_OBJECTS."""
        start, end = np.searchsorted(self.rows, [row, row + 1])
        own = np.arange(start, end)
        return own[np.argsort(-self.scores[own], kind="stable")][:MOST_OBJECTS]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """n items and what is known of them, row by row.

    keys: n different digests. embeddings: (n, d) float32, L2-normalised. risk: (n,) in [0, 1]. signals: by name,
    (n,) each (`selection.scores.Signals`), of those that were asked for what all items have. objects: their detections.
    labels: names of the C classes.
    labelled: (l, d) embeddings of items that have their truth, in the same space.
    class_quality: (C,) in [0, 1], how well the model does on each class (1: as well as can be); ones where unknown.
    """

    keys: Sequence[str]
    embeddings: NDArray[np.float32]
    risk: NDArray[np.float64]
    signals: Mapping[str, NDArray[np.float64]]
    objects: Objects
    labels: tuple[str, ...]
    labelled: NDArray[np.float32]
    class_quality: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def __len__(self) -> int:
        return len(self.keys)

    def taken(self, free: NDArray[np.intp]) -> NDArray[np.intp]:
        """The rows that are not among `free`."""
        return np.setdiff1d(np.arange(len(self)), free, assume_unique=True)

    def covered(self, free: NDArray[np.intp]) -> NDArray[np.float32]:
        """Embeddings of what is labelled, and of the rows that are not among `free`: they were chosen before."""
        return np.concatenate([self.labelled, self.embeddings[self.taken(free)]])


@dataclass(frozen=True, slots=True)
class Pick:
    """row: of the pool. score: what the strategy ranked by; comparable within one selection only. reason: one sentence
    for the person who will look at the item."""

    row: int
    score: float
    reason: str


def best_first(worth: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.intp]:
    """Places of `worth` (n,), the largest first; of equals any, not those that came first."""
    return np.lexsort((rng.permutation(len(worth)), -worth))


def checked(pool: Pool) -> Pool:
    """`pool`, where its parts fit and every number is one; raises Invalid, naming the first item that is at fault."""
    n = len(pool)
    if pool.embeddings.ndim != 2 or len(pool.embeddings) != n or len(pool.risk) != n:
        raise Invalid(
            f"{n} items do not go with embeddings of shape {pool.embeddings.shape} and {len(pool.risk)} risks."
        )
    if len(pool.labelled) and pool.labelled.shape[1] != pool.embeddings.shape[1]:
        raise Invalid(
            f"embeddings of width {pool.labelled.shape[1]} and {pool.embeddings.shape[1]} are of different spaces.",
            hint="Each model version has its own embedding space; compare within one.",
        )
    require_finite("embedding", pool.embeddings, pool.keys)
    require_finite("risk", pool.risk, pool.keys)
    for name, values in pool.signals.items():
        require_finite(name, values, pool.keys)
    if _unsound_row(pool.labelled) is not None:
        raise Invalid(
            "an embedding of what is labelled, or of what the model was trained on, holds NaN or infinity.",
            hint="Predict what was labelled again by a sound model, or promote one.",
        )
    _require_sound_objects(pool)
    return pool


def _require_sound_objects(pool: Pool) -> None:
    """Names the item of the first detection that is at fault."""
    for values in (pool.objects.scores, pool.objects.features):
        row = None if values is None else _unsound_row(values)
        if row is not None:
            raise _unsound("detections", pool.keys[int(pool.objects.rows[row])])


def require_features(pool: Pool, strategy: str) -> Features:
    """The features of its objects; raises Invalid where they are not there, for one item or for all."""
    if pool.objects.features is None or pool.objects.without:
        few = f"{pool.objects.without} of {len(pool)} items have" if pool.objects.without else "this pool has"
        raise Invalid(
            f"{strategy} compares detections, and {few} no embeddings of them.",
            hint="Turn them on (askance models configure MODEL object_embeddings=true) and predict those images again, "
            "or choose balanced-herding or hybrid, which need those of whole images only.",
        )
    return pool.objects.features


_AT_ONCE = 65_536  # rows


def require_finite(what: str, values: NDArray[np.floating], keys: Sequence[str]) -> None:
    """Raises Invalid, naming the first of `keys` (n) whose row of (n, ...) `values` is at fault."""
    row = _unsound_row(values)
    if row is not None:
        raise _unsound(what, keys[row])


def _unsound(what: str, key: str) -> Invalid:
    return Invalid(
        f"the {what} of item {key[:12]} holds NaN or infinity.",
        hint="Predict it again by a sound model, or leave it out by a filter.",
        item=key,
    )


def _unsound_row(values: NDArray[np.floating]) -> int | None:
    """The first of (n, ...) that holds what is no number; None where all are."""
    for start in range(0, len(values), _AT_ONCE):
        finite = np.isfinite(values[start : start + _AT_ONCE])
        if not finite.all():
            return start + int(np.argmin(finite.reshape(len(finite), -1).all(axis=1)))
    return None
