"""Training images that are nearly the same as one that models are judged by."""

import numpy as np
from numpy.typing import NDArray

from loop.domain.item import Split
from training.snapshot import Snapshot, digest_column
from training.snapshot_columns import SPLITS, column

NEAR_DUPLICATES = "near-duplicates of images held out"


def without_leaks(snapshot: Snapshot, names: NDArray[np.bytes_], clusters: NDArray[np.int64]) -> Snapshot:
    """The snapshot without training images of a cluster that has one held out, val or golden: what is judged by stays.
    How many went is in its head.

    names: (m,) digests of items, 64 hex digits, ascending and each once. clusters: (m,) of each, from 0 on.
    """
    if not len(names):
        return snapshot
    known = np.frombuffer(bytes.fromhex(names.astype("S64").tobytes().decode("ascii")), dtype="S32")
    digests = digest_column(snapshot.items)
    place = np.minimum(np.searchsorted(known, digests), len(known) - 1)
    rows = np.flatnonzero(known[place] == digests)
    cluster = clusters[place[rows]]
    trained = column(snapshot.items, "split")[rows] == SPLITS.index(Split.TRAIN)
    held_out = np.zeros(int(clusters.max()) + 1, dtype=bool)
    held_out[cluster[~trained]] = True
    kept = np.ones(len(digests), dtype=bool)
    kept[rows[trained & held_out[cluster]]] = False
    return snapshot.only(kept, {NEAR_DUPLICATES: int((~kept).sum())})
