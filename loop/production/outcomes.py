"""How predictions turned out, as callers report it: kept beside them, and queued for people on request."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loop.domain.access import Permission, Token, require
from loop.domain.errors import Conflict, Invalid, NotFound
from loop.domain.ports import Clock, Entropy, Event, Store, Transaction
from loop.domain.prediction import Prediction
from loop.domain.production.outcomes import ReportedOutcome, Told, checked
from loop.review.asking import ask_people

# In the same words for all: what a caller wrote would lead the eye.
REPORTED_WRONG = "Reported as wrong"


@dataclass(frozen=True, slots=True)
class Kept:
    """fresh: False where the same was reported before. note: what did not come of it, in words."""

    outcome: ReportedOutcome
    fresh: bool
    note: str = ""


@dataclass(frozen=True, slots=True)
class Refused:
    """place: in what was sent, from 0."""

    place: int
    prediction_id: str
    why: str


@dataclass(frozen=True, slots=True)
class OutcomeDesk:
    """has_image: whether an item's image is kept, by its digest."""

    store: Store
    has_image: Callable[[str], bool]
    clock: Clock
    entropy: Entropy

    def report(self, caller: Token, project_id: str, prediction_id: str, told: Told) -> Kept:
        """The same again changes nothing; another word of the same caller takes the place of the one before. Raises
        NotFound, Invalid, and Conflict where nobody could look at the image."""
        require(caller, Permission.PREDICT, project_id)
        secret = self.store.secret()
        with self.store.begin() as tx:
            return self._kept(tx, caller, project_id, prediction_id, told, secret)

    def report_all(
        self, caller: Token, project_id: str, given: Sequence[tuple[str, Told]]
    ) -> tuple[list[Kept], list[Refused]]:
        """In one transaction, those that can be; the others with why they cannot."""
        require(caller, Permission.PREDICT, project_id)
        secret = self.store.secret()
        kept, refused = [], []
        with self.store.begin() as tx:
            tx.projects.get(project_id)
            for place, (prediction_id, told) in enumerate(given):
                try:
                    kept.append(self._kept(tx, caller, project_id, prediction_id, told, secret))
                except (NotFound, Invalid, Conflict) as error:
                    refused.append(Refused(place, prediction_id, error.detail))
        return kept, refused

    def _kept(
        self, tx: Transaction, caller: Token, project_id: str, prediction_id: str, told: Told, secret: bytes
    ) -> Kept:
        prediction = tx.predictions.get(project_id, prediction_id)
        now = self.clock()
        told = checked(told, prediction.created_at, now)
        if told.send_to_review:
            tx.projects.hold(project_id)  # of two reports one makes the task, and the other sees it
        before = tx.outcomes.get(prediction_id, caller.id)
        if before is not None and before.says(told) and (before.task_id or not told.send_to_review):
            return Kept(before, fresh=False)
        task_id, note = before.task_id if before else None, ""
        if told.send_to_review and task_id is None:
            task_id, note = self._queued(tx, prediction, caller, secret)
        outcome = ReportedOutcome(
            prediction_id=prediction_id,
            project_id=project_id,
            model_id=prediction.model_id,
            predicted_at=prediction.created_at,
            reported_by=caller.id,
            outcome=told.outcome,
            reason=told.reason,
            labels=told.labels,
            at=told.at or now,
            created_at=before.created_at if before else now,
            task_id=task_id,
        )
        tx.outcomes.save(outcome)
        body = {"prediction_id": prediction_id, "outcome": told.outcome.value, "task_id": task_id}
        tx.events.add(Event("prediction.turned_out", project_id, caller.name, body, now))
        return Kept(outcome, fresh=True, note=note)

    def _queued(self, tx: Transaction, prediction: Prediction, caller: Token, secret: bytes) -> tuple[str | None, str]:
        """The first task of those that were made; or None, and why none was."""
        project_id, digest = prediction.project_id, prediction.item_digest
        if tx.items.settled(project_id, [digest]):
            return None, "The item has a task or its truth already; no second task was made."
        if not self.has_image(digest):
            raise Conflict(
                "the image of this prediction was not kept, so that nobody can look at it.",
                hint="Report it without send_to_review; the policy's `retain` says which images are kept.",
                prediction=prediction.id,
            )
        task = ask_people(
            tx, tx.projects.get(project_id), digest, prediction.id, reason=REPORTED_WRONG, actor=caller.name,
            now=self.clock(), entropy=self.entropy, secret=secret,
        )  # fmt: skip
        return task.id, ""
