"""MLflow is told what was kept for it: one note after the other, again until it is there."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from loop.cycle.work import RunRegistry
from loop.domain.cycle import Cycle
from loop.domain.errors import AskanceError, Declined, Unavailable
from loop.domain.model import ModelVersion
from loop.domain.outgoing.notes import (
    Backlog,
    Note,
    NoteKind,
    after_failure,
    aliases_note,
    backlog,
    next_to_tell,
)
from loop.domain.ports import Blobs, Clock, Store, Transaction

log = logging.getLogger("askance.cycle")


@dataclass(frozen=True, slots=True)
class Telling:
    """For one process at a time: the one that works on cycles."""

    store: Store
    blobs: Blobs
    registry: RunRegistry
    clock: Clock

    def open(self) -> None:
        """Ahead of the first cycle, which need not wait for it; and aliases that somebody else has moved come back."""
        now = self.clock()
        with self.store.begin() as tx:
            for project in tx.projects.all():
                if any(model.mlflow_version for model in tx.models.all(project.id)):
                    tx.notes.add(aliases_note(project.id, now))
        self.registry.open()

    def run(self, stopping: Callable[[], bool]) -> None:
        """Until nothing is due."""
        while not stopping() and self.advance():
            pass

    def advance(self) -> bool:
        """Tell the next note. Whether one was due."""
        with self.store.read() as tx:
            note = next_to_tell(tx.notes.heads(), self.clock())
        if note is None:
            return False
        try:
            found = self._tell(note)
        except Exception as error:
            self._failed(note, error)
            return True
        with self.store.begin() as tx:
            self._keep(tx, note, found)
        if note.error:
            log.info("MLflow is told again what it missed, %s first", note.key)
        return True

    def _tell(self, note: Note) -> str | None:
        """The number of a version."""
        registry, body = self.registry, note.body
        if note.cycle_id is None:
            registry.set_aliases(note.project_id, self._aliases(note.project_id))
            return None
        run_id = self._run_of(note)
        match note.kind:
            case NoteKind.RUN:
                registry.describe(run_id, body["params"], body["tags"])  # type: ignore[arg-type]
            case NoteKind.METRICS:
                registry.log_metrics(run_id, body["figures"], body["step"], note.at)  # type: ignore[arg-type]
            case NoteKind.ARTIFACT:
                registry.log_artifact_bytes(run_id, str(body["name"]), self._content(str(body["blob"])))
            case NoteKind.VERSION:
                return self._registered(run_id, note)
            case NoteKind.END:
                registry.finish(run_id, str(body["status"]), note.at)
        return None

    def _run_of(self, note: Note) -> str:
        with self.store.read() as tx:
            cycle = tx.cycles.get(note.project_id, str(note.cycle_id))
        if cycle.mlflow_run_id is not None:
            return cycle.mlflow_run_id
        run_id = self.registry.run_of(cycle.project_id, cycle.id, note.at)
        with self.store.begin() as tx:
            tx.cycles.recorded(cycle.project_id, cycle.id, run_id)
        return run_id

    def _registered(self, run_id: str, note: Note) -> str:
        with self.store.read() as tx:
            model = tx.models.get(note.project_id, str(note.body["model_id"]))
        tags = {"askance.model": model.id, "askance.cycle": str(note.cycle_id)}
        if device := model.notes.get("device"):  # which, where the settings say auto, is known when it is trained
            tags["askance.device"] = str(device)
        content = self._content(model.digest)
        return self.registry.register(note.project_id, run_id, content, model.digest, model.head, tags)

    def _content(self, blob: str) -> bytes:
        try:
            return self.blobs.get(blob)
        except Unavailable as error:  # which may be for good, where it is damaged: others need not wait for it
            raise Declined(error.detail, hint=error.hint) from error

    def _aliases(self, project_id: str) -> dict[str, str | None]:
        """The candidate is that of the cycle under way: one that was refused, or serves, asks for nothing."""
        with self.store.read() as tx:
            champion = _model(tx, project_id, tx.projects.get(project_id).champion_id)
            cycle = _under_way(tx, project_id)
            candidate = _model(tx, project_id, cycle.candidate_id if cycle else None)
        return {
            "champion": champion.mlflow_version if champion else None,
            "candidate": candidate.mlflow_version if candidate else None,
        }

    def _keep(self, tx: Transaction, note: Note, version: str | None) -> None:
        now = self.clock()
        if version is not None:
            tx.models.recorded(note.project_id, str(note.body["model_id"]), version)
            tx.notes.add(aliases_note(note.project_id, now))
        if note.kind.is_last:
            tx.notes.forget(note)
        else:
            tx.notes.save(replace(note, told_at=now, error=""))

    def _failed(self, note: Note, error: Exception) -> None:
        """Only the registry's being away concerns other lines, too."""
        away = isinstance(error, Unavailable) and not isinstance(error, Declined)
        why = error.detail if isinstance(error, AskanceError) else f"{type(error).__name__}: {error}"
        with self.store.begin() as tx:
            tx.notes.save(after_failure(note, why, refused=not away, now=self.clock()))
        if not note.error:
            log.warning("MLflow is told %s of %s later: %s", note.key, note.line, error)
        if not isinstance(error, AskanceError):
            log.debug("telling MLflow went wrong", exc_info=error)


def told_later(store: Store, project_id: str | None = None) -> Backlog:
    """What MLflow is still to be told; None: of all projects."""
    with store.read() as tx:
        return backlog(tx.notes.heads(), tx.notes.untold(project_id))


def _under_way(tx: Transaction, project_id: str) -> Cycle | None:
    return next((cycle for cycle in tx.cycles.unfinished() if cycle.project_id == project_id), None)


def _model(tx: Transaction, project_id: str, model_id: str | None) -> ModelVersion | None:
    return None if model_id is None else tx.models.get(project_id, model_id)
