"""What is chosen from before a project has a model: its images, by a descriptor of their colours."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import BadImage, Invalid, NotFound
from loop.domain.item import Item
from loop.domain.ports import Blobs, Store
from loop.domain.selection import Conditions
from selection.colours import DIM, SPACE, compared
from selection.pool import Objects, Pool

MOST = 50_000  # images of one choice: two minutes to describe, once; of more, so many are drawn
_PAGE = 2000
_READERS = 8
_UNKNOWN = 0.5  # the risk of what no model has seen
_NOTHING = np.full(DIM, np.nan, dtype=np.float32)  # the descriptor of an image that cannot be read


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """pool: what may be chosen, in the space `SPACE`. share: in (0, 1], of all images that meet the conditions.
    unread: images that were left out, since they are not kept or cannot be decoded."""

    pool: Pool
    share: float
    unread: int


class Descriptors:
    """Of a project's images, each described once. They are kept in `folder`, a cache that may be deleted."""

    def __init__(self, blobs: Blobs, folder: Path, describe: Callable[[bytes], NDArray[np.float32]]) -> None:
        """describe: (DIM,) of an encoded image; raises BadImage."""
        self._blobs = blobs
        self._folder = folder
        self._describe = describe

    def of(self, project_id: str, digests: Sequence[str]) -> NDArray[np.float32]:
        """(n, DIM), NaN where an image is not kept or cannot be decoded."""
        known = self._kept(project_id)
        missing = [digest for digest in dict.fromkeys(digests) if digest not in known]
        if missing:
            with ThreadPoolExecutor(_READERS) as readers:
                known |= {
                    digest: one
                    for digest, one in zip(missing, readers.map(self._described, missing), strict=True)
                    if one is not _NOTHING
                }
            self._keep(project_id, known)
        return np.array([known.get(digest, _NOTHING) for digest in digests], dtype=np.float32).reshape(-1, DIM)

    def _described(self, digest: str) -> NDArray[np.float32]:
        try:
            return self._describe(self._blobs.get(digest))
        except (NotFound, BadImage):
            return _NOTHING

    def _path(self, project_id: str) -> Path:
        return self._folder / SPACE / f"{project_id}.npz"

    def _kept(self, project_id: str) -> dict[str, NDArray[np.float32]]:
        try:
            with np.load(self._path(project_id), allow_pickle=False) as file:
                digests, rows = file["digests"], file["rows"]
        except (OSError, ValueError, KeyError, EOFError, BadZipFile):
            return {}  # none yet, or damaged: it is a cache
        return dict(zip(map(str, digests), rows, strict=True)) if rows.shape[1:] == (DIM,) else {}

    def _keep(self, project_id: str, known: Mapping[str, NDArray[np.float32]]) -> None:
        """Whole or not at all."""
        path = self._path(project_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        with partial.open("wb") as file:
            np.savez(file, digests=np.array(list(known)), rows=np.array(list(known.values()), dtype=np.float32))
        partial.replace(path)


@dataclass(frozen=True, slots=True)
class ColdStart:
    store: Store
    descriptors: Descriptors

    def beginning(
        self,
        project_id: str,
        labels: tuple[str, ...],
        conditions: Conditions,
        seed: int,
        among: frozenset[str] | None = None,
    ) -> Beginning:
        """The images of a project without a model that meet the conditions and have neither task nor truth. among: the
        only ones that may be chosen; None: all.

        Raises Invalid where there is nothing to choose from.
        """
        if "label" in conditions.wanted:
            raise Invalid("without a model nobody knows what labels an image shows.", hint="Filter by source or group.")
        settled, unsettled = self._items(project_id, conditions)
        if among is not None:
            unsettled = [digest for digest in unsettled if digest in among]
        _require_some(settled, unsettled, narrowed=among is not None or bool(conditions.wanted))
        rng = np.random.default_rng([seed, *b"cold start"])
        kept = [_at_most(MOST, digests, rng) for digests in (settled, unsettled)]
        known, open_ = (self.descriptors.of(project_id, digests) for digests in kept)
        readable = [bool(np.isfinite(row).all()) for row in open_]
        known = known[np.isfinite(known).all(axis=1)]
        if not any(readable):
            raise Invalid("none of the images can be read any more.", hint="Add them again: askance items add.")
        embeddings = compared(np.concatenate([known, open_[readable]]))
        keys = [digest for digest, fine in zip(kept[1], readable, strict=True) if fine]
        pool = _pool(keys, embeddings[len(known) :], embeddings[: len(known)], labels)
        unread = readable.count(False)
        return Beginning(pool=pool, share=len(kept[1]) / len(unsettled), unread=unread)

    def _items(self, project_id: str, conditions: Conditions) -> tuple[list[str], list[str]]:
        """Digests of what is settled, whatever the conditions say, and of what may be chosen; in an order that does not
        hang on when they came."""
        settled: list[str] = []
        unsettled: list[str] = []
        after: str | None = None
        while True:
            with self.store.read() as tx:
                page: list[Item] = tx.items.page(project_id, after=after, limit=_PAGE)
                done = tx.items.settled(project_id, [item.digest for item in page])
                dropped = tx.items.dropped(project_id)
            settled += [item.digest for item in page if item.digest in done]
            unsettled += [
                item.digest
                for item in page
                if item.digest not in done | dropped and conditions.met_by(item, frozenset())
            ]
            if len(page) < _PAGE:
                return sorted(settled), sorted(unsettled)
            after = page[-1].digest


def _require_some(settled: Sequence[str], unsettled: Sequence[str], *, narrowed: bool) -> None:
    if unsettled:
        return
    if narrowed:
        raise Invalid("the filter matches no image that could be chosen.", hint="See: askance items list.")
    if settled:
        raise Invalid(
            f"all {len(settled)} images have a task or their truth already.", hint="Add more: askance items add FOLDER."
        )
    raise Invalid("the project has no image to choose from.", hint="Add some: askance items add FOLDER.")


def _at_most(most: int, digests: list[str], rng: np.random.Generator) -> list[str]:
    if len(digests) <= most:
        return digests
    return [digests[at] for at in np.sort(rng.choice(len(digests), most, replace=False))]


def _pool(
    keys: list[str], embeddings: NDArray[np.float32], labelled: NDArray[np.float32], labels: tuple[str, ...]
) -> Pool:
    return Pool(
        keys=keys,
        embeddings=embeddings,
        risk=np.full(len(keys), _UNKNOWN),
        signals={},
        objects=Objects(
            rows=np.empty(0, dtype=np.int64), classes=np.empty(0, dtype=np.int64), scores=np.empty(0, dtype=np.float64)
        ),
        labels=labels,
        labelled=labelled,
    )
