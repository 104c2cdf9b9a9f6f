"""Training images that are nearly the same as one that models are judged by."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from loop.domain.item import Split
from training.snapshot import Snapshot, digest_column
from training.snapshot_columns import SPLITS, column

NEAR_DUPLICATES = "near-duplicates of images held out"

_BITS = 64


@dataclass(frozen=True, slots=True)
class Hashes:
    """What images look like. names: (m,) digests of items, 64 hex digits, ascending and each once. values: (m,) uint64
    of each. bits: in how many of 64 two may differ that are nearly the same."""

    names: NDArray[np.bytes_]
    values: NDArray[np.uint64]
    bits: int


def without_leaks(
    snapshot: Snapshot, names: NDArray[np.bytes_], clusters: NDArray[np.int64], hashes: Hashes | None = None
) -> Snapshot:
    """The snapshot without training images of a cluster that has one held out, val or golden, and without those whose
    hash is near that of one held out, unless the clusters know both of them: what is judged by stays. How many went is
    in its head.

    names: (m,) digests of items, 64 hex digits, ascending and each once. clusters: (m,) of each, from 0 on.
    """
    digests = digest_column(snapshot.items)
    trained = column(snapshot.items, "split") == SPLITS.index(Split.TRAIN)
    clustered, place = _found(digests, names)
    leaked = np.zeros(len(digests), dtype=bool)
    leaked[clustered] = _in_held_out_cluster(clusters[place], trained[clustered])
    if hashes is not None:
        seen = np.zeros(len(digests), dtype=bool)
        seen[clustered] = True
        hashed, place = _found(digests, hashes.names)
        leaked[hashed] |= _like_held_out(hashes.values[place], trained[hashed], seen[hashed], hashes.bits)
    return snapshot.only(~leaked, {NEAR_DUPLICATES: int(leaked.sum())})


def near(asked: NDArray[np.uint64], among: NDArray[np.uint64], bits: int) -> NDArray[np.bool_]:
    """(a,) whether one of (b,) hashes differs from it in at most `bits`, in [0, 64), places.

    Two such are the same in at least one of bits + 1 bands, so that only those of one band are compared; of each the
    first that is near ends the search.
    """
    found, others = np.zeros(len(asked), dtype=bool), np.unique(among)
    for shift, width in _bands(bits):
        left = np.flatnonzero(~found)
        found[left] = _near_in_band(asked[left], others, np.uint64(shift), np.uint64((1 << width) - 1), bits)
    return found


def _found(digests: NDArray[np.bytes_], names: NDArray[np.bytes_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows of the digests that `names` has, and the places there."""
    if not len(names):
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    known = np.frombuffer(bytes.fromhex(names.astype("S64").tobytes().decode("ascii")), dtype="S32")
    place = np.minimum(np.searchsorted(known, digests), len(known) - 1)
    rows = np.flatnonzero(known[place] == digests)
    return rows, place[rows]


def _in_held_out_cluster(cluster: NDArray[np.int64], trained: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(n,) whether it is trained on, and one of its cluster is not."""
    held_out = np.zeros(int(cluster.max(initial=-1)) + 1, dtype=bool)
    held_out[cluster[~trained]] = True
    return np.asarray(trained & held_out[cluster])


def _like_held_out(
    values: NDArray[np.uint64], trained: NDArray[np.bool_], seen: NDArray[np.bool_], bits: int
) -> NDArray[np.bool_]:
    """(n,) whether it is trained on, and near one that is not; of two that were both seen something better is known."""
    like = np.zeros(len(values), dtype=bool)
    like[trained & ~seen] = near(values[trained & ~seen], values[~trained], bits)
    like[trained & seen] = near(values[trained & seen], values[~trained & ~seen], bits)
    return like


def _bands(bits: int) -> Iterator[tuple[int, int]]:
    """Where each begins, and how wide it is: bits + 1 that share the 64 places."""
    edges = [number * _BITS // (bits + 1) for number in range(bits + 2)]
    return ((begin, end - begin) for begin, end in pairwise(edges))


def _near_in_band(
    asked: NDArray[np.uint64], others: NDArray[np.uint64], shift: np.uint64, mask: np.uint64, bits: int
) -> NDArray[np.bool_]:
    """(a,) whether one of the others that is the same in this band is near."""
    band = (others >> shift) & mask
    order = np.argsort(band, kind="stable")
    band, others = band[order], others[order]
    wanted = (asked >> shift) & mask
    at, end = np.searchsorted(band, wanted, "left"), np.searchsorted(band, wanted, "right")
    found = np.zeros(len(asked), dtype=bool)
    left = np.flatnonzero(at < end)
    while len(left):
        close = np.bitwise_count(asked[left] ^ others[at[left]]) <= bits
        found[left[close]] = True
        left = left[~close]
        at[left] += 1
        left = left[at[left] < end[left]]
    return found
