"""A project's map of embeddings: asked for here, drawn by a process of its own, read from the blob store.

Nothing is drawn for a project that was never asked for. Once it was, its map follows: what is predicted is placed on it
in steps of a tenth, and it is fitted anew when too much of it was only placed (loop/domain/embedding_map.py).
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from loop.domain.embedding_map import Drawn, EmbeddingMap, nothing_to_draw
from loop.domain.errors import AskanceError, NoPlace, NotFound
from loop.domain.ports import Blobs, Clock, Store, Transaction
from loop.models import loaded

log = logging.getLogger("askance.map")


class Cartographer(Protocol):
    def draw_map(self, project_id: str, *, refit: bool, stopping: Callable[[], bool]) -> Drawn:
        """A drawing of all that the champion has predicted, its blobs written, its row not. May take minutes.

        Raises AskanceError, also where it is `stopping`.
        """
        ...


@dataclass(frozen=True, slots=True)
class MapStatus:
    """record: as it is kept. behind: predictions of the present champion that it does not show."""

    record: EmbeddingMap
    behind: int


@dataclass(frozen=True, slots=True)
class Maps:
    store: Store
    blobs: Blobs
    cartographer: Cartographer
    clock: Clock

    def ask(self, project_id: str, *, refit: bool, actor: str) -> MapStatus:
        """To be brought up to date, or drawn for the first time; another process does it.

        Raises NotFound, NoChampion; Invalid where the champion has predicted nothing.
        """
        with self.store.begin() as tx:
            model = loaded.champion(tx, project_id)
            if not tx.predictions.count_after(project_id, model.id, 0):
                raise nothing_to_draw()
            now = self.clock()
            record = tx.maps.for_update(project_id) or EmbeddingMap.first(project_id, actor, now)
            asked = record.asked(refit=refit, actor=actor, now=now)
            tx.maps.save(asked)
            return MapStatus(asked, _behind(tx, asked))

    def status(self, project_id: str) -> MapStatus:
        """Raises NotFound where nobody has asked for it yet."""
        with self.store.read() as tx:
            tx.projects.get(project_id)
            record = tx.maps.get(project_id)
            if record is None:
                raise _never_asked(project_id)
            return MapStatus(record, _behind(tx, record))

    def columns(self, drawn: Drawn) -> Iterator[bytes]:
        """An Arrow IPC stream, in pieces. Raises NotFound where it is gone, Unavailable."""
        try:
            return self.blobs.pieces(drawn.key)
        except NotFound as error:
            raise NotFound(
                "the file of the map is gone from the blob store.", hint="Have it drawn anew: askance map --refit."
            ) from error

    # --- in the process that works off what is asked for ------------------------------------------------

    def advance(self, stopping: Callable[[], bool] = lambda: False) -> bool:
        """Draw what is awaited; whether anything was. What a process was drawing when it ended is drawn again."""
        with self.store.read() as tx:
            awaited = [record.project_id for record in tx.maps.all() if record.awaited]
        for project_id in awaited:
            if stopping():
                break
            self._advance(project_id, stopping)
        return bool(awaited)

    def follow(self) -> list[str]:
        """Have those brought up to date that have fallen behind; their projects."""
        now = self.clock()
        with self.store.read() as tx:
            late = [record.project_id for record in tx.maps.all() if record.follows(_behind(tx, record), now)]
        for project_id in late:
            with suppress(AskanceError):  # its model was taken away meanwhile
                self.ask(project_id, refit=False, actor="service")
        return late

    def _advance(self, project_id: str, stopping: Callable[[], bool]) -> None:
        begun = self._changed(project_id, lambda record: record.begun(self.clock()))
        try:
            drawn = self.cartographer.draw_map(project_id, refit=begun.refit, stopping=stopping)
        except NoPlace as error:
            log.warning("the map of %s waits: %s", project_id, error)  # it stays under way, and is tried again
            return
        except Exception as error:
            if stopping():
                return  # it stays under way, and the next start goes on
            if not isinstance(error, AskanceError):
                log.exception("the map of %s could not be drawn", project_id)
            reason = str(error) if isinstance(error, AskanceError) else f"{type(error).__name__}: {error}"
            self._changed(project_id, lambda record: record.failed(reason, self.clock()))
            return
        self._changed(project_id, lambda record: record.done(drawn, self.clock()))
        log.info("map of %s: %d points, %d of them fitted", project_id, drawn.points, drawn.fitted)
        self._clear(begun.drawn, drawn)

    def _changed(self, project_id: str, change: Callable[[EmbeddingMap], EmbeddingMap]) -> EmbeddingMap:
        with self.store.begin() as tx:
            record = tx.maps.for_update(project_id)
            if record is None:
                raise _never_asked(project_id)
            changed = change(record)
            tx.maps.save(changed)
        return changed

    def _clear(self, before: Drawn | None, drawn: Drawn) -> None:
        """What no row names any more. The drawing before stays, for who is reading it."""
        if before is None:
            return
        named = {drawn.key, drawn.layout_key, drawn.previous_key}
        for key in {before.previous_key, before.layout_key} - named - {None}:
            with suppress(AskanceError):  # then it stays, and harms nobody
                self.blobs.remove(str(key))


def _behind(tx: Transaction, record: EmbeddingMap) -> int:
    champion = tx.projects.get(record.project_id).champion_id
    if champion is None:
        return 0
    known = record.drawn.sequence if record.drawn is not None and record.drawn.model_id == champion else 0
    return tx.predictions.count_after(record.project_id, champion, known)


def _never_asked(project_id: str) -> NotFound:
    return NotFound(
        f"there is no map of {project_id}: nobody has asked for one yet.",
        hint=f"Ask for it: askance map --project {project_id}, or POST /v1/projects/{project_id}/map.",
        project=project_id,
    )
