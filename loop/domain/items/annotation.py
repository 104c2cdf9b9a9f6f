"""Bulk pre-annotation: a job over many images, which goes on where it was cut, and the answer of each image."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from loop.domain.errors import Conflict
from loop.domain.prediction import Prediction
from loop.domain.routing import Action, Decision, Reason


class AnnotationState(StrEnum):
    QUEUED = "queued"  # asked for; the source is not listed yet
    RUNNING = "running"  # the listing is frozen; images are worked off
    DONE = "done"  # every image of the listing is answered, well or badly
    FAILED = "failed"  # the source or the model could not be used; what was answered stays
    CANCELLED = "cancelled"  # by a person; what was answered stays

    @property
    def finished(self) -> bool:
        return self not in (AnnotationState.QUEUED, AnnotationState.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationJob:
    """One pass of one model version over a source.

    model_id: frozen when the job was asked for; a promotion meanwhile changes nothing.
    source: a folder, a manifest, or a URL, as `SourceEntry` explains. any_folder: asked for by an operator, who may
    name any local folder. review: whether risky ones become tasks.
    listing_key: blob of the frozen listing, None before it is made. found, done, bad: images listed, predicted, and
    not readable; done + bad never exceeds found. actor: the name, and created_by: the id, of who asked.
    """

    id: str
    project_id: str
    model_id: str
    source: str
    any_folder: bool
    review: bool
    state: AnnotationState
    actor: str
    created_by: str
    created_at: datetime
    updated_at: datetime
    listing_key: str | None = None
    found: int = 0
    done: int = 0
    bad: int = 0
    error: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def left(self) -> int:
        """Images that have no answer yet."""
        return self.found - self.done - self.bad

    def started(self, listing_key: str, found: int, now: datetime) -> "AnnotationJob":
        """queued → running, with the listing that it will work off. Raises Conflict in another state."""
        self._require(AnnotationState.QUEUED)
        return replace(
            self, state=AnnotationState.RUNNING, listing_key=listing_key, found=found, started_at=now, updated_at=now
        )

    def counted(self, done: int, bad: int, now: datetime) -> "AnnotationJob":
        """So many more are answered. Raises Conflict unless it runs, and for more than are left."""
        self._require(AnnotationState.RUNNING)
        if done + bad > self.left:
            raise Conflict(
                f"{done + bad} answers for the {self.left} images that annotation {self.id} has left.",
                hint="Another process works on this job; let one go on.",
                annotation=self.id,
            )
        return replace(self, done=self.done + done, bad=self.bad + bad, updated_at=now)

    def completed(self, now: datetime) -> "AnnotationJob":
        """running → done. Raises Conflict while images are left."""
        self._require(AnnotationState.RUNNING)
        if self.left:
            raise Conflict(
                f"annotation {self.id} has {self.left} images left.", hint="Let it go on.", annotation=self.id
            )
        return self._ended(AnnotationState.DONE, "", now)

    def failed(self, error: str, now: datetime) -> "AnnotationJob":
        """Unfinished → failed. Raises Conflict for a finished one."""
        self._require(AnnotationState.QUEUED, AnnotationState.RUNNING)
        return self._ended(AnnotationState.FAILED, error, now)

    def cancelled(self, now: datetime) -> "AnnotationJob":
        """Unfinished → cancelled; cancelling twice changes nothing. Raises Conflict where it ended otherwise."""
        if self.state is AnnotationState.CANCELLED:
            return self
        self._require(AnnotationState.QUEUED, AnnotationState.RUNNING)
        return self._ended(AnnotationState.CANCELLED, "", now)

    def _ended(self, state: AnnotationState, error: str, now: datetime) -> "AnnotationJob":
        return replace(self, state=state, error=error, finished_at=now, updated_at=now)

    def _require(self, *states: AnnotationState) -> None:
        if self.state not in states:
            raise Conflict(
                f"annotation {self.id} is {self.state}.",
                hint="Look at it with: askance annotate status, or start another.",
                annotation=self.id,
                state=self.state,
            )


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """One image of a listing. url: an absolute local path, or a URL that fsspec opens; each at most once in a
    listing, so that its place in the listing (`position`, from 0) names it. source, group: as with an item."""

    position: int
    url: str
    source: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnnotationResult:
    """The answer of one image of a job: a prediction, or the reason why there is none ("" where there is)."""

    job_id: str
    position: int
    url: str
    item_digest: str | None = None
    prediction_id: str | None = None
    reason: str = ""


def without_review(prediction: Prediction) -> Prediction:
    """The prediction, accepted whatever its risk: nobody will look, and it had no chance in the audit lottery
    (inclusion probability 0), so that estimates from audits do not speak of it."""
    decision = prediction.decision
    reason = Reason("review-off", f"risk {decision.risk:.3f}; the annotation was asked for without review")
    accepted: Decision = replace(
        decision,
        action=Action.ACCEPT,
        stage=None,
        audit_rate=0.0,
        audit_drawn=False,
        inclusion_probability=0.0,
        reasons=(reason,),
    )
    return replace(prediction, decision=accepted)
