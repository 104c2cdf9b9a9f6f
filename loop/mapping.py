"""Drawing a project's map: what the champion has predicted from the store, its place by `selection.layout`, one file.

Slow to import and to run, and greedy: for processes that do nothing else (loop/workshop.py).
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from loop import loaded
from loop.domain.embedding_map import Drawn, needs_fit
from loop.domain.errors import AskanceError, Invalid
from loop.domain.model import ModelVersion
from loop.domain.ports import Blobs, Candidate, Clock, Store
from selection.layout import Layout, fit
from selection.map_file import (
    FACTS,
    facts_of,
    facts_page,
    identities,
    map_table,
    positions_of,
    read_map,
    write_map,
)
from selection.pool import require_finite

log = logging.getLogger("askance.map")

_PAGE = 2000

# Called now and then; what it raises ends the work.
Alive = Callable[[], None]


@dataclass(frozen=True, slots=True)
class MapRecipe:
    """representatives: points that UMAP sees, at most; neighbours: of its graph. refit_share: of the points that may
    have come after the fit."""

    representatives: int
    neighbours: int
    seed: int
    refit_share: float


@dataclass(frozen=True, slots=True)
class _Before:
    """The newest drawing, as it was kept."""

    drawn: Drawn
    table: pa.Table
    layout: Layout


@dataclass(frozen=True, slots=True)
class _Gathered:
    """n items by their newest predictions. sequence: of the last of all. items: digests. facts: rows of FACTS.
    embeddings: (n, d)."""

    sequence: int
    items: Sequence[str]
    facts: pa.Table
    embeddings: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MapDrawing:
    store: Store
    blobs: Blobs
    recipe: MapRecipe
    clock: Clock

    def draw(self, project_id: str, *, refit: bool, alive: Alive = lambda: None) -> Drawn:
        """All that the champion has predicted; what was drawn before in its space keeps its place, unless it is
        fitted anew. Raises NoChampion, Invalid where there is nothing or an embedding that is no number."""
        with self.store.read() as tx:
            model = loaded.champion(tx, project_id)
            record = tx.maps.get(project_id)
        before = None if record is None or record.drawn is None else self._kept(record.drawn)
        if before is not None and not refit and before.drawn.model_id == model.id:
            new = self._gathered(model, before.drawn.sequence, alive)
            followed = self._followed(model, before, new)
            if followed is not None:
                return followed
        return self._fitted(model, before, self._gathered(model, 0, alive), alive)

    def _kept(self, drawn: Drawn) -> _Before | None:
        """None where it cannot be read: a map is a cache."""
        try:
            layout = Layout.from_bytes(self.blobs.get(drawn.layout_key))
            return _Before(drawn, read_map(self.blobs.get(drawn.key)), layout)
        except (AskanceError, ValueError) as error:
            log.warning("what was drawn of %s before cannot be read, all is drawn anew: %s", drawn.model_id, error)
            return None

    def _gathered(self, model: ModelVersion, after: int, alive: Alive) -> _Gathered:
        """Page by page into columns: a million candidates as objects would fill memory."""
        facts: list[pa.RecordBatch] = []
        embeddings = [np.empty((0, model.head.embedding_dim), dtype=np.float32)]
        row_of: dict[str, int] = {}  # of an item that is predicted again while the pages are read, the last
        seen = 0
        while True:
            with self.store.read() as tx:
                page = tx.predictions.candidates(model.project_id, model.id, after=after, limit=_PAGE)
            if page:
                row_of |= {one.item.digest: row for row, one in enumerate(page, start=seen)}
                facts.append(_facts_of(page))
                embeddings.append(np.stack([one.embedding for one in page]))
                seen, after = seen + len(page), page[-1].sequence
            alive()
            if len(page) < _PAGE:
                break
        table, vectors = pa.Table.from_batches(facts, FACTS), np.concatenate(embeddings)
        if len(row_of) < seen:
            rows = np.sort(np.fromiter(row_of.values(), dtype=np.intp))
            table, vectors = table.take(rows), vectors[rows]
        return _Gathered(after, sorted(row_of, key=row_of.__getitem__), table, vectors)

    def _followed(self, model: ModelVersion, before: _Before, new: _Gathered) -> Drawn | None:
        """What is new beside what is there; None where too much would only be placed."""
        old = before.table
        place = pc.index_in(new.facts["item"].combine_chunks(), old["item"].combine_chunks())
        fresh = place.is_null().to_numpy(zero_copy_only=False)
        if needs_fit(before.drawn, model.id, new=int(fresh.sum()), refit_share=self.recipe.refit_share):
            return None
        again = place.drop_null().to_numpy()
        stays = np.ones(len(old), dtype=bool)
        stays[again] = False
        where, fitted = positions_of(old), old["fitted"].to_numpy()
        positions = np.empty((len(fresh), 2), dtype=np.float32)
        positions[~fresh] = where[again]
        positions[fresh] = before.layout.place(_sound(new)[fresh])
        was_fitted = np.zeros(len(fresh), dtype=bool)
        was_fitted[~fresh] = fitted[again]
        table = self._table(
            model.project_id,
            pa.concat_tables([facts_of(old).filter(pa.array(stays)), new.facts]),
            np.concatenate([where[stays], positions]),
            np.concatenate([fitted[stays], was_fitted]),
        )
        if table.equals(old):
            return before.drawn
        changed = replace(
            before.drawn,
            previous_key=before.drawn.key,
            sequence=max(new.sequence, before.drawn.sequence),
            points=len(table),
            late=before.drawn.late + int(fresh.sum()),
            made_at=self.clock(),
        )
        return self._written(model.project_id, changed, table)

    def _fitted(self, model: ModelVersion, before: _Before | None, all_of_it: _Gathered, alive: Alive) -> Drawn:
        """Representatives by UMAP, and all others beside them; turned so that it looks as it did before."""
        embeddings, recipe = _sound(all_of_it), self.recipe
        if not len(embeddings):
            raise Invalid(
                "the present champion has predicted no image, so there is nothing to draw.",
                hint="Predict some first: askance annotate FOLDER --no-review.",
            )
        count = min(recipe.representatives, len(embeddings))
        chosen = np.sort(np.random.default_rng(recipe.seed).choice(len(embeddings), count, replace=False))
        layout, different = fit(embeddings[chosen], seed=recipe.seed, neighbours=recipe.neighbours)
        alive()
        representatives = chosen[different]
        if before is not None:
            layout = _as_before(layout, all_of_it.facts["item"].take(representatives), before.table)
        positions = layout.place(embeddings)
        alive()
        positions[representatives] = layout.positions
        fitted = np.zeros(len(embeddings), dtype=bool)
        fitted[representatives] = True
        now = self.clock()
        drawn = Drawn(
            model_id=model.id,
            key="",
            layout_key=self.blobs.put(layout.to_bytes(f"{model.project_id} {now.isoformat()}")),
            previous_key=None if before is None else before.drawn.key,
            sequence=all_of_it.sequence,
            points=len(embeddings),
            fitted=len(representatives),
            late=0,
            seed=recipe.seed,
            fitted_at=now,
            made_at=now,
        )
        return self._written(model.project_id, drawn, self._table(model.project_id, all_of_it.facts, positions, fitted))

    def _table(
        self, project_id: str, facts: pa.Table, positions: NDArray[np.float32], fitted: NDArray[np.bool_]
    ) -> pa.Table:
        with self.store.read() as tx:
            tasks, truths = identities(tx.tasks.items(project_id)), identities(tx.truths.items(project_id))
        return map_table(facts, positions, fitted, tasks=tasks, truths=truths)

    def _written(self, project_id: str, drawn: Drawn, table: pa.Table) -> Drawn:
        about = {"project": project_id} | {
            name: str(getattr(drawn, name)) for name in ("model_id", "points", "fitted", "seed")
        }
        about |= {name: getattr(drawn, name).isoformat() for name in ("fitted_at", "made_at")}
        return replace(drawn, key=self.blobs.put(write_map(table, about)))


def _facts_of(page: Sequence[Candidate]) -> pa.RecordBatch:
    surest = [max(one.detections, key=lambda detection: detection.score, default=None) for one in page]
    return facts_page(
        items=[one.item.digest for one in page],
        risk=[one.risk for one in page],
        anomaly_p=[one.signals.get("anomaly_p", 1.0) for one in page],
        score=[None if detection is None else detection.score for detection in surest],
        label=[None if detection is None else detection.label for detection in surest],
        source=[one.item.source for one in page],
        predicted_at=[one.predicted_at for one in page],
    )


def _sound(gathered: _Gathered) -> NDArray[np.float32]:
    """Its embeddings. Raises Invalid, naming the item, where one holds NaN or infinity."""
    require_finite("embedding", gathered.embeddings, gathered.items)
    return gathered.embeddings


def _as_before(layout: Layout, representatives: pa.ChunkedArray, before: pa.Table) -> Layout:
    """Turned by those of its representatives, given by their items, that were on the map `before`."""
    place = pc.index_in(representatives.combine_chunks(), before["item"].combine_chunks())
    known = np.flatnonzero(place.is_valid().to_numpy(zero_copy_only=False))
    return layout.aligned(known, positions_of(before)[place.drop_null().to_numpy()])
