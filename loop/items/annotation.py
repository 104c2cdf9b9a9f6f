"""Bulk pre-annotation: list a source, infer every image of it, route and keep the answers, each exactly once.

A job's listing is frozen before the first image is read. From then on the answer of an image (a prediction, or why
there is none) is a row of the same transaction as the prediction itself and the job's counts, so that a process may
be killed at any moment: what has a row is done, the rest is done by whoever goes on.
"""

import json
import logging
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Protocol

from loop.domain.errors import AnnotationFailed, AskanceError, Conflict, NoChampion
from loop.domain.identity import digest_of, new_id
from loop.domain.items.annotation import AnnotationJob, AnnotationResult, AnnotationState, SourceEntry, without_review
from loop.domain.model import ModelVersion
from loop.domain.ports import Blobs, Clock, Entropy, Event, Store, Transaction
from loop.domain.prediction import Inference, Prediction
from loop.domain.project import Project
from loop.routing.router import Caller, Inferred, ReceivedImage, Routed, Router

log = logging.getLogger("askance.annotation")


class Sources(Protocol):
    def check(self, source: str, *, any_folder: bool) -> str:
        """The source with its path made plain. Raises SourceNotAllowed, Invalid, BadDataset where it is missing."""
        ...

    def list(self, source: str, *, any_folder: bool) -> list[SourceEntry]:
        """All that it names, each once. Raises as `check`, and BadDataset where that is nothing or unreadable."""
        ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one image: `image` and `inference`, or `reason` why not."""

    entry: SourceEntry
    image: ReceivedImage | None = None
    inference: Inference | None = None
    reason: str = ""


class Bulk(Protocol):
    def infer(self, model: ModelVersion, entries: Sequence[SourceEntry]) -> Generator[list[Answer], None, None]:
        """The answers of all `entries`, in groups as they come, in any order; closing the generator ends the work.

        Never holds more than some groups in memory. Raises AskanceError where the model cannot be run.
        """
        ...


class RouteMany(Protocol):
    def __call__(
        self,
        inferred: Sequence[Inferred],
        *,
        review: bool,
        also: Callable[[Transaction, Sequence[Routed]], None],
    ) -> list[Routed]:
        """Decide on each and keep all of them in one transaction, in which `also` writes too; images before the rows
        that name them. Not `review`: each is accepted, and no task is made. What `also` raises rolls all back.
        Nothing inferred: `also` is called all the same."""
        ...


# --- asking --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AnnotationRequests:
    """What callers may do with jobs; another process works them off."""

    store: Store
    sources: Sources
    clock: Clock
    entropy: Entropy

    def start(
        self,
        project_id: str,
        source: str,
        *,
        actor: str,
        created_by: str,
        any_folder: bool,
        model_id: str | None = None,
        review: bool = True,
    ) -> AnnotationJob:
        """Queue a job with the present champion, or with `model_id`.

        Raises NotFound, NoChampion, and for the source SourceNotAllowed, Invalid, BadDataset.
        """
        with self.store.read() as tx:
            project = tx.projects.get(project_id)
            model = tx.models.get(project_id, model_id or _champion(project))
        place = self.sources.check(source, any_folder=any_folder)
        now = self.clock()
        job = AnnotationJob(
            id=new_id("ann", now, self.entropy(10)),
            project_id=project_id,
            model_id=model.id,
            source=place,
            any_folder=any_folder,
            review=review,
            state=AnnotationState.QUEUED,
            actor=actor,
            created_by=created_by,
            created_at=now,
            updated_at=now,
        )
        with self.store.begin() as tx:
            tx.annotations.add(job)
            body = {"annotation_id": job.id, "source": place, "model_id": model.id, "review": review}
            tx.events.add(Event("annotation.queued", project_id, actor, body, now))
        return job

    def cancel(self, project_id: str, job_id: str, actor: str) -> AnnotationJob:
        """End a job; what was answered stays. Raises NotFound, Conflict where it ended otherwise."""
        now = self.clock()
        with self.store.begin() as tx:
            job = tx.annotations.for_update(project_id, job_id)
            if job.state is AnnotationState.CANCELLED:
                return job
            ended = job.cancelled(now)
            tx.annotations.save(ended)
            tx.events.add(_finished_event(ended, actor))
        return ended


def _champion(project: Project) -> str:
    if project.champion_id is None:
        raise NoChampion(
            f"{project.id} has no model yet.",
            hint=f"Add one: askance models add WEIGHTS --project {project.id}, or run a cycle on imported truth.",
            project=project.id,
        )
    return project.champion_id


def _finished_event(job: AnnotationJob, actor: str) -> Event:
    body = {
        "annotation_id": job.id, "state": job.state, "found": job.found, "done": job.done, "bad": job.bad,
        "error": job.error,
    }  # fmt: skip
    return Event("annotation.finished", job.project_id, actor, body, job.updated_at)


# --- working it off --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Annotator:
    """Works jobs off, in the one process that serves."""

    store: Store
    blobs: Blobs
    sources: Sources
    bulk: Bulk
    route_many: RouteMany
    clock: Clock

    def advance(self, job: AnnotationJob, stopping: Callable[[], bool] = lambda: False) -> AnnotationJob:
        """Go on with an unfinished job until it ends or the process is being ended (`stopping`); then it stays
        unfinished, and the next start goes on. What goes wrong ends the job with its reason."""
        try:
            if job.state is AnnotationState.QUEUED:
                job = self._listed(job)
            return self._worked_off(job, stopping)
        except Conflict:
            return self._stored(job)  # cancelled, or another process is ahead: what is stored counts
        except Exception as error:
            if stopping():
                return self._stored(job)
            if isinstance(error, AskanceError):
                return self._failed(job, str(error))
            log.exception("annotation %s failed", job.id)
            return self._failed(job, f"{type(error).__name__}: {error}")

    def _listed(self, job: AnnotationJob) -> AnnotationJob:
        entries = self.sources.list(job.source, any_folder=job.any_folder)
        key = self.blobs.put(write_listing(entries))
        return self._saved(job, lambda stored: stored.started(key, len(entries), self.clock()))

    def _worked_off(self, job: AnnotationJob, stopping: Callable[[], bool]) -> AnnotationJob:
        model, pending = self._pending(job)
        if pending:
            with closing(self.bulk.infer(model, pending)) as groups:
                for answers in groups:
                    if stopping():
                        return self._stored(job)
                    self._keep(job, model, answers)
        return self._completed(self._stored(job))

    def _pending(self, job: AnnotationJob) -> tuple[ModelVersion, list[SourceEntry]]:
        with self.store.read() as tx:
            model = tx.models.get(job.project_id, job.model_id)
            answered = tx.annotations.answered(job.id)
        listing = read_listing(self.blobs.get(str(job.listing_key)))
        return model, [entry for entry in listing if entry.position not in answered]

    def _keep(self, job: AnnotationJob, model: ModelVersion, answers: Sequence[Answer]) -> None:
        """The answers of a group, in one transaction. Raises Conflict where the job has ended meanwhile."""
        # The policy as it is now, as for a request that arrives now.
        with self.store.read() as tx:
            project = tx.projects.get(job.project_id)
            model = tx.models.get(job.project_id, model.id)
            thresholds = tx.thresholds.of(project, model)
            images = [answer.image.digest for answer in answers if answer.image is not None]
            any_gone = tx.items.any_dropped(job.project_id)
            gone = {digest for digest in images if any_gone and tx.items.is_dropped(job.project_id, digest)}
        caller = Caller(job.created_by)
        good: list[tuple[SourceEntry, Inferred]] = []
        bad: list[AnnotationResult] = []
        for answer in answers:
            if answer.image is None or answer.inference is None:
                bad.append(_bad_result(job, answer))
                continue
            if answer.image.digest in gone:
                bad.append(_bad_result(job, replace(answer, reason="it was dropped from the project")))
                continue
            inferred = Inferred(
                prediction_id=prediction_id_of(job, answer.entry.position),
                project=project,
                model=model,
                image=answer.image,
                inference=answer.inference,
                caller=caller,
                thresholds=thresholds,
            )
            good.append((answer.entry, inferred))

        def also(tx: Transaction, routed: Sequence[Routed]) -> None:
            stored = tx.annotations.for_update(job.project_id, job.id)
            tx.annotations.save(stored.counted(len(good), len(bad), self.clock()))
            results = [_result(job, entry, one.prediction) for (entry, _), one in zip(good, routed, strict=True)]
            tx.annotations.record([*results, *bad])

        self.route_many([inferred for _, inferred in good], review=job.review, also=also)

    def _completed(self, job: AnnotationJob) -> AnnotationJob:
        if job.state is AnnotationState.RUNNING and job.left:
            raise AnnotationFailed(
                f"{job.left} images came back without an answer.", hint="Start the annotation again."
            )
        return self._ended(job, lambda stored: stored.completed(self.clock()))

    def _failed(self, job: AnnotationJob, error: str) -> AnnotationJob:
        try:
            return self._ended(job, lambda stored: stored.failed(error, self.clock()))
        except Conflict:
            return self._stored(job)

    def _ended(self, job: AnnotationJob, change: Callable[[AnnotationJob], AnnotationJob]) -> AnnotationJob:
        return self._saved(job, change, ends=True)

    def _saved(
        self, job: AnnotationJob, change: Callable[[AnnotationJob], AnnotationJob], *, ends: bool = False
    ) -> AnnotationJob:
        with self.store.begin() as tx:
            changed = change(tx.annotations.for_update(job.project_id, job.id))
            tx.annotations.save(changed)
            if ends:
                tx.events.add(_finished_event(changed, changed.actor))
        return changed

    def _stored(self, job: AnnotationJob) -> AnnotationJob:
        with self.store.read() as tx:
            return tx.annotations.get(job.project_id, job.id)


def _result(job: AnnotationJob, entry: SourceEntry, prediction: Prediction) -> AnnotationResult:
    return AnnotationResult(
        job_id=job.id,
        position=entry.position,
        url=entry.url,
        item_digest=prediction.item_digest,
        prediction_id=prediction.id,
    )


def _bad_result(job: AnnotationJob, answer: Answer) -> AnnotationResult:
    reason = answer.reason or "it has no answer"
    return AnnotationResult(job_id=job.id, position=answer.entry.position, url=answer.entry.url, reason=reason)


def prediction_id_of(job: AnnotationJob, position: int) -> str:
    """Fixed by the job and the image's place in its listing, and so is the audit lottery, which hangs on it: an image
    that is computed again after a kill is not drawn again."""
    return new_id("pred", job.created_at, bytes.fromhex(digest_of(f"{job.id} {position}".encode())))


def write_listing(entries: Iterable[SourceEntry]) -> bytes:
    """One JSON array a line, in the order of the positions."""
    return "".join(json.dumps([e.url, e.source, e.group]) + "\n" for e in entries).encode()


def read_listing(content: bytes) -> list[SourceEntry]:
    lines = content.decode().splitlines()
    return [SourceEntry(position, *json.loads(line)) for position, line in enumerate(lines)]


# --- routing many at once ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RouteTogether:
    """Implements `RouteMany` by the router that online requests take, so that signals, decisions, tasks and audits
    are the same."""

    router: Router

    def __call__(
        self,
        inferred: Sequence[Inferred],
        *,
        review: bool,
        also: Callable[[Transaction, Sequence[Routed]], None],
    ) -> list[Routed]:
        routed = [self.router.decide(one) for one in inferred]
        if not review:
            routed = [replace(one, prediction=without_review(one.prediction), tasks=()) for one in routed]
        self.router.keep(list(zip(inferred, routed, strict=True)), lambda tx: also(tx, routed))
        return routed
