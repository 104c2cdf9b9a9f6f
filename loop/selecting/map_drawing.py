"""Drawing a project's map: what the champion has predicted from the store, its place by `selection.layout`, one file.

Slow to import and to run, and greedy: for processes that do nothing else (loop/launching/workshop.py).
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from loop.domain.embedding_map import Drawn, needs_fit, nothing_to_draw
from loop.domain.errors import AskanceError
from loop.domain.model import ModelVersion
from loop.domain.ports import Blobs, Candidate, Clock, Store
from loop.domain.selection import Part
from loop.models import loaded
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
                page = tx.predictions.candidates(
                    model.project_id, model.id, after=after, limit=_PAGE, parts=(Part.SIGNALS, Part.DETECTIONS)
                )
            if page:
                row_of |= {one.item_digest: row for row, one in enumerate(page, start=seen)}
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
        place = _rows_in(before.table, new.facts["item"])
        fresh = place < 0
        late = int(fresh.sum())
        if needs_fit(before.drawn, model.id, new=late, refit_share=self.recipe.refit_share):
            return None
        stays = np.ones(len(before.table), dtype=bool)
        stays[place[~fresh]] = False
        where, was_fitted = positions_of(before.table), before.table["fitted"].to_numpy()
        positions, fitted = np.empty((len(fresh), 2), dtype=np.float32), np.zeros(len(fresh), dtype=bool)
        positions[~fresh], fitted[~fresh] = where[place[~fresh]], was_fitted[place[~fresh]]
        positions[fresh] = before.layout.place(_sound(new)[fresh])
        table = self._table(
            model,
            pa.concat_tables([facts_of(before.table).filter(pa.array(stays)), new.facts]),
            np.concatenate([where[stays], positions]),
            np.concatenate([was_fitted[stays], fitted]),
        )
        if table.equals(before.table):
            return before.drawn
        drawn = replace(
            before.drawn,
            previous_key=before.drawn.key,
            sequence=new.sequence,
            points=len(table),
            late=before.drawn.late + late,
            made_at=self.clock(),
        )
        return self._written(model, drawn, table)

    def _fitted(self, model: ModelVersion, before: _Before | None, all_of_it: _Gathered, alive: Alive) -> Drawn:
        """All of it anew."""
        if not len(all_of_it.items):
            raise nothing_to_draw()
        layout, representatives = self._layout(all_of_it, before)
        alive()
        positions = layout.place(all_of_it.embeddings)
        alive()
        positions[representatives] = layout.positions
        fitted = np.zeros(len(positions), dtype=bool)
        fitted[representatives] = True
        now = self.clock()
        drawn = Drawn(
            model_id=model.id,
            key="",
            layout_key=self.blobs.put(layout.to_bytes(f"{model.project_id} {now.isoformat()}")),
            previous_key=None if before is None else before.drawn.key,
            sequence=all_of_it.sequence,
            points=len(positions),
            fitted=len(representatives),
            late=0,
            seed=self.recipe.seed,
            fitted_at=now,
            made_at=now,
        )
        return self._written(model, drawn, self._table(model, all_of_it.facts, positions, fitted))

    def _layout(self, all_of_it: _Gathered, before: _Before | None) -> tuple[Layout, NDArray[np.intp]]:
        """Of representatives drawn at random, and their rows; turned so that it looks as the map did before."""
        embeddings, recipe = _sound(all_of_it), self.recipe
        count = min(recipe.representatives, len(embeddings))
        chosen = np.sort(np.random.default_rng(recipe.seed).choice(len(embeddings), count, replace=False))
        layout, different = fit(embeddings[chosen], seed=recipe.seed, neighbours=recipe.neighbours)
        representatives = chosen[different]
        if before is not None:
            place = _rows_in(before.table, all_of_it.facts["item"].take(pa.array(representatives)))
            known = np.flatnonzero(place >= 0)
            layout = layout.aligned(known, positions_of(before.table)[place[known]])
        return layout, representatives

    def _table(
        self, model: ModelVersion, facts: pa.Table, positions: NDArray[np.float32], fitted: NDArray[np.bool_]
    ) -> pa.Table:
        with self.store.read() as tx:
            tasks = identities(tx.tasks.items(model.project_id))
            truths = identities(tx.truths.items(model.project_id))
        return map_table(facts, positions, fitted, tasks=tasks, truths=truths)

    def _written(self, model: ModelVersion, drawn: Drawn, table: pa.Table) -> Drawn:
        about = {
            "project": model.project_id,
            "model_id": model.id,
            "points": str(drawn.points),
            "fitted": str(drawn.fitted),
            "seed": str(drawn.seed),
            "fitted_at": drawn.fitted_at.isoformat(),
            "made_at": drawn.made_at.isoformat(),
        }
        return replace(drawn, key=self.blobs.put(write_map(table, about)))


def _facts_of(page: Sequence[Candidate]) -> pa.RecordBatch:
    surest = [max(one.detections or (), key=lambda detection: detection.score, default=None) for one in page]
    return facts_page(
        items=[one.item_digest for one in page],
        risk=[one.risk for one in page],
        anomaly_p=[(one.signals or {}).get("anomaly_p", 1.0) for one in page],
        score=[None if detection is None else detection.score for detection in surest],
        label=[None if detection is None else detection.label for detection in surest],
        source=[one.source for one in page],
        predicted_at=[one.predicted_at for one in page],
    )


def _sound(gathered: _Gathered) -> NDArray[np.float32]:
    """Its embeddings. Raises Invalid, naming the item, where one holds NaN or infinity."""
    require_finite("embedding", gathered.embeddings, gathered.items)
    return gathered.embeddings


def _rows_in(table: pa.Table, items: pa.ChunkedArray) -> NDArray[np.intp]:
    """(n,): the row of a map that each of n items has; -1 for those that are not on it."""
    found = pc.index_in(items.combine_chunks(), table["item"].combine_chunks())
    return np.asarray(found.fill_null(-1), dtype=np.intp)
