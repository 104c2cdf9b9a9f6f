"""Golden items: marking them, handing them out among other work, and scoring what people answer."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta

from loop.domain.errors import NotFound
from loop.domain.identity import new_id
from loop.domain.policy.quality_rules import Standing
from loop.domain.policy.queue_rules import Lane, lane_of
from loop.domain.ports import Clock, Entropy, Event, Store, Transaction
from loop.domain.prediction import Prediction
from loop.domain.project import Project
from loop.domain.quality.golden import (
    Feedback,
    GoldenAnswer,
    GoldenItem,
    GoldenSeat,
    Tally,
    score_from_json,
    score_to_json,
    scored,
)
from loop.domain.quality.judging import Judgeable, soundness, verdict_is_right
from loop.domain.quality.likeness import reach_of
from loop.domain.quality.reviewer_quality import GoldenScore
from loop.domain.recipes.rules import require_no_errors
from loop.domain.review.people import Person
from loop.domain.review.queueing import placed
from loop.domain.review.tasks import QA_SEAT, Outcome, Submission, Task
from loop.domain.routing import draws_golden, golden_order, shows_wrong
from loop.domain.stage import ROUTED, Stage
from loop.domain.truth import Shape
from loop.review.qa import judged_of
from loop.review.standings import present_standing, reconsider, trained, why_alone, why_no_judge
from loop.review.subjects import work_of

_JITTER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class GoldenItems:
    """The operators' side."""

    store: Store
    clock: Clock

    def mark(self, project_id: str, digest: str, shapes: Sequence[Shape] | None, actor: str) -> GoldenItem:
        """Trust these shapes, or the item's ground truth where there are none. Marked again with others, answers to
        those before do not count any more. Raises NotFound, and what an answer would be refused with."""
        with self.store.begin() as tx:
            project = tx.projects.get(project_id)
            trusted = _trusted(tx, project, digest, shapes)
            present = tx.golden.get(project_id, digest)
            if present is not None and present.shapes == trusted:
                return present
            marked = GoldenItem(
                project_id=project_id,
                item_digest=digest,
                version=tx.golden.version(project_id, digest) + 1,
                shapes=trusted,
                added_by=actor,
                added_at=self.clock(),
            )
            tx.golden.save(marked)
            body = {"item_digest": digest, "version": marked.version, "shapes": len(trusted)}
            tx.events.add(Event("golden.marked", project_id, actor, body, marked.added_at))
            return tx.golden.get(project_id, digest) or marked

    def remove(self, project_id: str, digest: str, actor: str) -> None:
        """It is given to nobody any more, and what was answered to it counts no more. Raises NotFound."""
        with self.store.begin() as tx:
            tx.projects.get(project_id)
            if not tx.golden.remove(project_id, digest):
                raise NotFound(
                    "this item is not golden.", hint="See askance golden list.", project=project_id, item=digest
                )
            tx.events.add(Event("golden.removed", project_id, actor, {"item_digest": digest}, self.clock()))

    def all(self, project_id: str) -> list[GoldenItem]:
        """Newest first."""
        with self.store.read() as tx:
            tx.projects.get(project_id)
            return tx.golden.all(project_id)


def _trusted(tx: Transaction, project: Project, digest: str, shapes: Sequence[Shape] | None) -> tuple[Shape, ...]:
    item = tx.items.get(project.id, digest)
    if shapes is None:
        truth = tx.truths.current(project.id, digest)
        if truth is None:
            raise NotFound(
                "this item has no ground truth to trust.",
                hint="Send the trusted shapes along, or have the item reviewed first.",
                item=digest,
            )
        return truth.shapes
    checked = project.recipe.checked(shapes, item.width, item.height)
    require_no_errors(project.recipe.issues(checked, item.width, item.height))
    return checked


# --- handing out -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Handing:
    """One lease of one person. held: what the person has already. secret: of the installation; it keys the draws."""

    tx: Transaction
    project: Project
    person: Person
    held: Sequence[Task]
    tally: Tally
    secret: bytes
    now: datetime
    entropy: Entropy

    @property
    def standing(self) -> Standing:
        return present_standing(self.tally.known, self.project.policy.quality)

    @property
    def judging(self) -> Standing:
        """As who judges answers."""
        return present_standing(self.tally.judging, self.project.policy.quality, judging=True)

    @property
    def mixes(self) -> bool:
        """Whether golden items are among this person's other work."""
        return self.tally.marked and self.project.policy.quality.golden.rate > 0

    def why(self, found: int) -> str:
        """What the person is told of the standing. found: tasks that this lease gave."""
        if self.standing.waits:
            return why_alone(self.tx, self.project, self.person.token_id, self.tally.known, found)
        told = []
        if (known := self.tally.known) and known.standing is Standing.WARNED:
            told.append(f"You are warned: {known.why}.")
        if judging := self.tally.judging:
            told.append(why_no_judge(self.tx, self.project, self.person.token_id, judging))
        return " ".join(filter(None, told))

    def alone(self, count: int) -> list[Task]:
        """At most `count` golden items and nothing else, for who waits for a standing."""
        handed = self._waiting(count)
        held = {task.item_digest for task in self.held}
        for digest in self._eligible(predicted=False):
            if len(handed) == count:
                break
            if digest not in held and (made := self._made(digest, None)):
                handed.append(made)
        return handed

    def mixed(self, ordinary: Sequence[Task], count: int) -> list[Task]:
        """`ordinary`, some of them replaced: those stay in the queue for their next turn. None that a caller waits for
        is replaced, or left behind; nor is a clip, which no golden item looks like. In the place of what QA is to look
        at comes an answer to a golden item. Who may judge nothing else gets such answers before other work."""
        ahead = count - sum(task.answer_by is not None for task in ordinary)
        handed = self._waiting(ahead)
        checks = self._checks(ahead - len(handed)) if self.judging.waits else []
        handed += checks
        given = self.tally.given + len(checks)
        eligible: dict[bool, list[str]] = {}  # by whether a proposal is shown; read where they are needed
        for task in ordinary[: count - len(handed)]:
            instead = None
            if self.mixes and task.answer_by is None and self._draws(task, given):
                others = [*self.held, *ordinary, *handed]
                if task.stage is Stage.QA:
                    instead = self._check(task, given, others)
                elif task.stage in ROUTED:
                    predicted = task.prediction_id is not None
                    if predicted not in eligible:
                        eligible[predicted] = self._eligible(predicted=predicted)
                    instead = self._next(eligible[predicted], task, others)
            given += instead is not None
            handed.append(instead or task)
        return handed

    def _draws(self, task: Task, given: int) -> bool:
        return draws_golden(self.secret, self.person.token_id, task.id, given, self.project.policy)

    def _checks(self, count: int) -> list[Task]:
        """At most `count` answers to judge, for who waits for a standing as a judge."""
        handed: list[Task] = []
        groups = self.project.policy.queue.stage_groups.get(Stage.QA, ())
        while len(handed) < count and Lane(Stage.QA, groups).open_to(frozenset(self.person.groups), frozenset()):
            made = self._check(None, self.tally.given + len(handed), [*self.held, *handed])
            if made is None:
                break
            handed.append(made)
        return handed

    def _check(self, instead_of: Task | None, given: int, others: Sequence[Task]) -> Task | None:
        """An answer of another person to a golden item, to be judged; right or wrong by lot, where there are both."""
        if instead_of is not None and work_of(self.tx, instead_of) is not None:
            return None
        predicted = instead_of is not None and instead_of.prediction_id is not None
        taken = {task.item_digest for task in others}
        wrong = shows_wrong(self.secret, self.person.token_id, given)
        for one in sorted(self._judgeable(predicted=predicted), key=lambda one: one.sound is wrong):
            if one.item_digest not in taken and (
                made := self._made(one.item_digest, instead_of, others, one.answer_id)
            ):
                return made
        return None

    def _waiting(self, count: int) -> list[Task]:
        """Golden items that the person gave back, or whose lease ran out: they come again, as other work would."""
        if not self.tally.waiting:
            return []
        tasks = []
        for seat in self.tx.golden.waiting(self.project.id, self.person.token_id):
            if self.tx.golden.get(self.project.id, seat.item_digest) is None:
                self.tx.golden.close(seat.task_id)  # golden no more: nobody needs the answer
            else:
                tasks.append(self.tx.tasks.get(seat.task_id))
        return self.tx.tasks.take(tasks, now=self.now, limit=count)

    def _eligible(self, *, predicted: bool) -> list[str]:
        """In this person's own order."""
        found = self.tx.golden.eligible(
            self.project.id, self.person.token_id, given_before=self._again, predicted=predicted
        )
        return sorted(found, key=lambda digest: golden_order(self.secret, self.person.token_id, digest))

    def _judgeable(self, *, predicted: bool) -> list[Judgeable]:
        """In this person's own order."""
        found = self.tx.golden.judgeable(
            self.project.id, self.person.token_id, given_before=self._again, predicted=predicted
        )
        return sorted(found, key=lambda one: golden_order(self.secret, self.person.token_id, one.answer_id))

    @property
    def _again(self) -> datetime:
        """What was given before may be given again."""
        return self.now - timedelta(days=self.project.policy.quality.golden.again_days)

    def _next(self, digests: list[str], instead_of: Task, others: Sequence[Task]) -> Task | None:
        """The first that the person may do, taken out of `digests`; None where there is none, or nothing can look like
        that task."""
        if digests and work_of(self.tx, instead_of) is not None:
            return None
        taken = {task.item_digest for task in others}
        for digest in digests:
            made = None if digest in taken else self._made(digest, instead_of, others)
            if made is not None:
                digests.remove(digest)
                return made
        return None

    def _made(
        self, digest: str, instead_of: Task | None, others: Sequence[Task] = (), judged: str | None = None
    ) -> Task | None:
        """A task of this person alone; None where it needs what the person has not. instead_of: what it looks like; so
        nothing is proposed in the place of a task that begins with an empty image. judged: the answer to be judged."""
        prediction = self.tx.predictions.latest_of(self.project.id, digest)
        source = self.tx.items.get(self.project.id, digest).source
        task = self._like(digest, instead_of, others)
        if judged is not None:
            task = self._as_qa(task, instead_of)
        if not self._may_do(replace(task, source=source), prediction):
            return None
        shown = prediction if instead_of is None or instead_of.prediction_id is not None else None
        self.tx.tasks.add(task)
        self.tx.golden.give(
            GoldenSeat(
                task_id=task.id,
                project_id=self.project.id,
                reviewer=self.person.token_id,
                item_digest=digest,
                prediction_id=shown.id if shown else None,
                given_at=self.now,
                judged_id=judged,
            )
        )
        return task

    def _like(self, digest: str, instead_of: Task | None, others: Sequence[Task]) -> Task:
        """What a reviewer sees of it, and its place in the order, are those of the task that it replaces."""
        created = self._created(instead_of, others) if instead_of else self.now
        return Task(
            id=new_id("task", created, self.entropy(10)),
            project_id=self.project.id,
            item_digest=digest,
            prediction_id=None,
            stage=Stage.GOLDEN,
            priority=instead_of.priority if instead_of else 0.0,
            policy_version=self.project.policy.version,
            recipe_version=instead_of.recipe_version if instead_of else self.project.recipe.version,
            created_at=created,
            reason=instead_of.reason if instead_of else "",
            rank=instead_of.rank if instead_of else self.now.timestamp(),
            source=instead_of.source if instead_of else "",
            lane=Lane(Stage.GOLDEN).key,
        )

    def _as_qa(self, task: Task, instead_of: Task | None) -> Task:
        """With the id that a task of QA has: that of the work, which began as long before."""
        began = task.created_at
        if instead_of is not None:
            began -= instead_of.created_at - self.tx.tasks.get(instead_of.work_id).created_at
        name = f"{new_id('task', began, self.entropy(10))}-{Stage.QA}"
        return replace(task, id=name, work_id=name, seat=QA_SEAT)

    def _created(self, instead_of: Task, others: Sequence[Task]) -> datetime:
        """As that of the task that it replaces where several are made at one moment; else a little earlier, since that
        task will come too."""
        together = instead_of.reason or any(
            one.created_at == instead_of.created_at for one in others if one.id != instead_of.id
        )
        share = int.from_bytes(self.entropy(2), "big") / 2**16
        return instead_of.created_at - timedelta(seconds=0.0 if together else share * _JITTER_SECONDS)

    def _may_do(self, task: Task, prediction: Prediction | None) -> bool:
        labels = [detection.label for detection in prediction.detections] if prediction else []
        rules = self.project.policy.queue
        stage = Stage.QA if task.judges else Stage.ANNOTATE
        as_other_work = placed(replace(task, stage=stage), rules, labels, begins=self.now)
        needs = lane_of(as_other_work.lane)
        return set(self.person.skills).issuperset(needs.skills)


def handing(
    tx: Transaction,
    project: Project,
    person: Person,
    held: Sequence[Task],
    secret: bytes,
    now: datetime,
    entropy: Entropy,
) -> Handing:
    tally = tx.golden.tally(project.id, person.token_id)
    return Handing(tx, project, person, held, tally, secret, now, entropy)


# --- answers ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedSubmission(Submission):
    """An answer of somebody in training to a golden item: it comes with the trusted answer."""

    golden: Feedback


def closed(tx: Transaction, project: Project, submission: Submission, task: Task) -> Submission:
    """Keep an answer or a skip, score it, and look at the person's standing. task: closed by it."""
    tx.people.for_update(submission.reviewer)  # one after the other, so that each sees what came before
    item = tx.golden.get(project.id, submission.item_digest)
    answer = (_verdict if task.judges else _answer)(tx, project, submission, item)
    score = None if answer.score is None else score_from_json(answer.score, project.recipe)
    tx.golden.answer(answer)
    tx.golden.close(task.id)
    tx.tasks.save(task)
    tx.drafts.drop(task.id, None)
    tx.events.add(_answered_event(answer, score))
    if score is not None or (task.judges and answer.sound is not None):
        reconsider(tx, project, submission.reviewer, submission.created_at, judging=task.judges)
    return told(tx, project, submission)


def _answer(tx: Transaction, project: Project, submission: Submission, item: GoldenItem | None) -> GoldenAnswer:
    score = _score(submission, item, project)
    return GoldenAnswer(
        submission=submission,
        version=_version(tx, submission, item),
        score=score_to_json(score) if score else None,
        sound=_soundness(tx, project, submission, item) if score else None,
    )


def _verdict(tx: Transaction, project: Project, submission: Submission, item: GoldenItem | None) -> GoldenAnswer:
    shown = tx.golden.answered(judged_of(tx, submission.task_id))
    version = _version(tx, submission, item)
    right = None
    known = item is not None and shown.version == version and shown.sound is not None
    # What was wrong by an earlier recipe may be right by what was shown, and the other way round.
    known = known and _soundness(tx, project, shown.submission, item) is shown.sound
    if known and submission.outcome is not Outcome.SKIPPED:
        corrected = _soundness(tx, project, submission, item)
        right = verdict_is_right(submission.outcome, sound=bool(shown.sound), corrected=corrected)
    return GoldenAnswer(submission=submission, version=version, score=None, sound=right, judged_id=shown.submission.id)


def _version(tx: Transaction, submission: Submission, item: GoldenItem | None) -> int:
    return item.version if item else tx.golden.version(submission.project_id, submission.item_digest)


def _soundness(tx: Transaction, project: Project, submission: Submission, item: GoldenItem | None) -> bool | None:
    """Of what was submitted."""
    if item is None or submission.outcome is not Outcome.SUBMITTED:
        return None
    image = tx.items.get(project.id, item.item_digest)
    reach, iou = reach_of(image.width, image.height), project.policy.failure_iou
    return soundness(submission.shapes, item.shapes, project.recipe, reach=reach, iou=iou)


def told(tx: Transaction, project: Project, submission: Submission) -> Submission:
    """The submission as its author sees it: in training, with the trusted answer."""
    known = tx.standings.get(project.id, submission.reviewer)
    item = tx.golden.get(project.id, submission.item_digest)
    score = _score(submission, item, project)
    if item is None or score is None or not trained(known, project.policy.quality):
        return submission
    feedback = Feedback(project.recipe.translated(item.shapes), score.precision, score.recall, score.right)
    answered = {field.name: getattr(submission, field.name) for field in fields(Submission)}
    return TrainedSubmission(**answered, golden=feedback)


def _score(submission: Submission, item: GoldenItem | None, project: Project) -> GoldenScore | None:
    if item is None or submission.outcome is not Outcome.SUBMITTED:
        return None
    return scored(submission.shapes, item.shapes, project.recipe, iou=project.policy.quality.consensus.iou)


def _answered_event(answer: GoldenAnswer, score: GoldenScore | None) -> Event:
    """Also of a verdict, by what it comes to."""
    submission = answer.submission
    body = {
        "task_id": submission.task_id,
        "submission_id": submission.id,
        "item_digest": submission.item_digest,
        "outcome": submission.outcome.value,
        "precision": score.precision if score else None,
        "recall": score.recall if score else None,
        "judged_id": answer.judged_id,
        "right": answer.sound,
    }
    return Event(
        "golden.answered", submission.project_id, submission.reviewer, body, submission.created_at.astimezone(UTC)
    )
