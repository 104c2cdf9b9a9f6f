"""What the use cases need of the world. Each is implemented once at the edge and named in `loop/wiring.py`."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from loop.domain.access import Token
from loop.domain.annotation import AnnotationJob, AnnotationResult
from loop.domain.canary import CanaryStanding
from loop.domain.clips import ClipWork, Frame, Group
from loop.domain.comments import Comment, CommentKind, CommentState, Part, Reply
from loop.domain.cost import Rates
from loop.domain.cycle import Cycle
from loop.domain.drift import DriftReport
from loop.domain.efforts import Effort
from loop.domain.embedding_map import EmbeddingMap
from loop.domain.function_calls import Asked, FunctionCall, Ran
from loop.domain.gate import Ending
from loop.domain.golden import Decided, GoldenAnswer, GoldenItem, GoldenSeat, KnownStanding, Redo, Scored, Tally
from loop.domain.item import Item, Split
from loop.domain.label_studio import Annotation, Link, LinkState, RemoteProject, RemoteTask
from loop.domain.lot import Lot, LotState, Member
from loop.domain.model import ModelVersion, Promotion
from loop.domain.outcomes import ReportedOutcome, TurnedOut
from loop.domain.people import Person
from loop.domain.prediction import Detection, Inference, Prediction
from loop.domain.production_figures import ProductionFigures
from loop.domain.project import Project, Recipe
from loop.domain.qa import AnswerStanding, HeldAnswer
from loop.domain.queries import HistoryEntry, ListedItem, Place, Query, Sort, View
from loop.domain.review import Draft, Submission, Task, TaskState
from loop.domain.review_feed import ReviewsAfter
from loop.domain.rollout import Rollout, RolloutState, ShadowAnswer
from loop.domain.routing import Policy
from loop.domain.rules import Scene
from loop.domain.sampled import Crowd, Drawn, Predicted, Sampled
from loop.domain.selection import PickedItem, Selection
from loop.domain.settling import WorkAgreement
from loop.domain.slice_rules import SliceRule
from loop.domain.thresholds import Thresholds
from loop.domain.triggers import TriggerRules
from loop.domain.truth import GroundTruth, Shape
from loop.domain.webhooks import Answer, Attempt, Backlog, Delivery, DeliveryState, Endpoint


class Clock(Protocol):
    def __call__(self) -> datetime:
        """Now, timezone-aware UTC."""
        ...


class Entropy(Protocol):
    def __call__(self, count: int, /) -> bytes: ...


# --- the store ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Claim:
    """What an Idempotency-Key turned out to be. `prediction_id` is set where the key has its answer."""

    fresh: bool
    prediction_id: str | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """What a model said of an item, and when."""

    prediction_id: str
    model_id: str
    created_at: datetime
    detections: tuple[Detection, ...]


@dataclass(frozen=True, slots=True)
class StoredEmbedding:
    sequence: int  # grows with each prediction of the database; a keyset cursor
    prediction_id: str
    item_digest: str
    embedding: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class StoredObjects:
    """features: (m, OBJECT_DIM) float16, of the first m detections of a prediction, L2-normalised."""

    sequence: int  # as of StoredEmbedding, but of another count
    prediction_id: str
    item_digest: str
    features: NDArray[np.float16]


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A prediction that a person answered. failed: the answer differed. probability: with which it could have come to
    a person (`Decision.inclusion_probability`). risk: as it was routed by. audit: drawn by lot, with the probability
    audit_rate."""

    prediction_id: str
    signals: Mapping[str, float]
    failed: bool
    probability: float
    risk: float
    audit: bool
    audit_rate: float


@dataclass(frozen=True, slots=True)
class Candidate:
    """An item as the newest prediction of a model version sees it. settled: it has its truth, or a task; else it may
    be chosen for people. objects: as of StoredObjects, where they were asked for and there are any."""

    sequence: int  # as of StoredEmbedding
    prediction_id: str
    item: Item
    embedding: NDArray[np.float32]
    risk: float
    signals: Mapping[str, float]
    detections: tuple[Detection, ...]
    settled: bool
    predicted_at: datetime
    objects: NDArray[np.float16] | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """A prediction that a caller asked for, with what is known of its image. score_threshold: of the policy that it was
    made under; detections below it are not kept."""

    sequence: int  # as of StoredEmbedding
    item_digest: str
    source: str
    group: str
    created_at: datetime
    embedding: NDArray[np.float32]
    detections: tuple[Detection, ...]
    score_threshold: float


@dataclass(frozen=True, slots=True)
class Queue:
    """Tasks of a project that share a lane (`Lane.key`), and a source where it is not None."""

    lane: str
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a project's history. `kind` is dotted: prediction.routed, task.submitted, model.promoted..."""

    kind: str
    project_id: str
    actor: str
    body: Mapping[str, object]
    at: datetime
    sequence: int = 0


class RuleFunctions(Protocol):
    """Python functions that judge answers, from outside of this project."""

    @property
    def names(self) -> frozenset[str]: ...

    def ask(self, function: str, scene: Scene) -> list[tuple[str, tuple[str, ...]]] | str:
        """What it finds: messages, with the ids of the shapes concerned; or in words why it has not answered: it is
        not there, raised, or took too long. Never raises, and takes a bounded time."""
        ...


class CustomFunctions(Protocol):
    """Python functions of installed packages that are called on events and by buttons."""

    @property
    def packages(self) -> Mapping[str, str]:
        """By the function's name: the package that registers it, and its version."""
        ...

    def run(self, asked: Asked, *, seconds: float, start_seconds: float | None = None) -> Ran:
        """Call one, away from this process, and end it for certain where it takes longer than `seconds`. Never raises.

        start_seconds: that it may wait for a process to run in; None: waiting counts as running.
        """
        ...

    def prepare(self) -> None:
        """Somebody may ask soon: let a process be there by then. Waits for nothing, and never raises."""
        ...


class Projects(Protocol):
    def add(self, project: Project) -> None:
        """Raises Conflict where the id is taken."""
        ...

    def get(self, project_id: str) -> Project:
        """Raises NotFound, naming the projects that exist."""
        ...

    def all(self) -> list[Project]: ...
    def save_policy(self, project_id: str, policy: Policy) -> None:
        """Keeps the old versions. Raises Conflict where this version exists."""
        ...

    def save_recipe(self, project_id: str, recipe: Recipe) -> None:
        """Keeps the old versions. Raises Conflict where this version exists. Until this transaction ends, nobody else
        adds a recipe, a submission or an item to the project; who waited sees this one."""
        ...

    def recipe(self, project_id: str, version: int) -> Recipe:
        """Raises NotFound."""
        ...

    def recipes(self, project_id: str) -> list[Recipe]:
        """Every version, the newest first."""
        ...

    def hold(self, project_id: str) -> None:
        """Until this transaction ends, no other one that holds it goes on from here. Who does not hold it is not kept
        from anything."""
        ...

    def move_champion(self, project_id: str, *, expected: str | None, to: str) -> bool:
        """Compare and swap the champion pointer; False where it was not `expected`."""
        ...


class Items(Protocol):
    def add(self, item: Item) -> bool:
        """False where the project has an item with this digest already (which then stays as it is)."""
        ...

    def add_all(self, given: Sequence[Item]) -> None:
        """The same for many."""
        ...

    def get(self, project_id: str, digest: str) -> Item: ...
    def of(self, project_id: str, digests: Sequence[str]) -> Mapping[str, Item]:
        """Those of these that the project has."""
        ...

    def page(self, project_id: str, *, after: str | None, limit: int) -> list[Item]:
        """In the order of (created_at, digest), newest first; `after` is a digest."""
        ...

    def set_split(self, project_id: str, digest: str, split: Split, group: str) -> None: ...
    def set_splits(self, given: Sequence[Item]) -> None:
        """The split and the group of many items that are there, as these have them."""
        ...

    def drop(self, project_id: str, digest: str, *, by: str, at: datetime) -> bool:
        """From now on its image is not to be kept, and its ground truth counts no more. False, and nothing is written,
        where somebody is to work on it still."""
        ...

    def dropped(self, project_id: str) -> frozenset[str]:
        """Items of the project whose image was dropped, ever."""
        ...

    def left(self, limit: int) -> Mapping[str, bool]:
        """At most `limit` dropped images whose bytes may be there still, and whether an item of another project keeps
        them."""
        ...

    def removed(self, digest: str) -> None:
        """Nothing is left to do for this dropped image."""
        ...

    def sources(self, project_id: str, digests: Sequence[str]) -> Mapping[str, str]:
        """Where each item comes from; "" where nobody said."""
        ...

    def settled(self, project_id: str, digests: Sequence[str]) -> frozenset[str]:
        """Those of the items that have a task, in whatever state, or their truth."""
        ...


class ItemQueries(Protocol):
    """Items by what is known of them (loop/domain/queries.py): what was committed before they last caught up."""

    def are_behind(self) -> bool:
        """Whether something was committed since."""
        ...

    def catch_up(self, limit: int) -> int:
        """With at most `limit` items that have changed, those that wait the longest; how many there were. Writes."""
        ...

    def page(
        self, project_id: str, query: Query, sort: Sort, *, after: Place | None, limit: int, now: datetime
    ) -> list[ListedItem]:
        """At most `limit` that meet the query, in the order of the sort, behind `after`. now: what spans are counted
        back from. Items that come meanwhile neither shift nor repeat a page."""
        ...

    def places(
        self, project_id: str, query: Query, sort: Sort, *, after: Place | None, limit: int, now: datetime
    ) -> list[Place]:
        """The same page, of digests."""
        ...

    def count(self, project_id: str, query: Query, *, now: datetime, at_most: int) -> int:
        """Counts no further than `at_most`."""
        ...

    def tag(self, project_id: str, digests: Sequence[str], *, add: Sequence[str], remove: Sequence[str]) -> int:
        """How many of the items there are; each then has the tags `add`, and none of `remove`. What is in both is
        there."""
        ...

    def tags(self, project_id: str, digests: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
        """By digest, sorted; items without any are left out."""
        ...


class ItemHistories(Protocol):
    def of(self, project_id: str, digest: str, *, most: int) -> list[HistoryEntry]:
        """What happened to an item, oldest first, but for snapshots; of each kind the newest `most`. Raises
        NotFound."""
        ...

    def snapshots(self, project_id: str, *, most: int) -> list[HistoryEntry]:
        """Those that cycles made, the newest first, whatever is in them."""
        ...


class Views(Protocol):
    """Queries with a name."""

    def save(self, view: View) -> None:
        """Over one of this name."""
        ...

    def get(self, project_id: str, name: str) -> View: ...
    def all(self, project_id: str) -> list[View]:
        """By name."""
        ...

    def remove(self, project_id: str, name: str) -> None:
        """Raises NotFound."""
        ...


class Predictions(Protocol):
    def add(self, prediction: Prediction) -> None: ...
    def add_all(self, given: Sequence[Prediction]) -> None:
        """Raises Conflict where an id is taken."""
        ...

    def get(self, project_id: str, prediction_id: str) -> Prediction: ...
    def page(self, project_id: str, *, after: str | None, limit: int) -> list[Prediction]:
        """Newest first; `after` is a prediction id."""
        ...

    def latest_of(self, project_id: str, item_digest: str) -> Prediction | None: ...
    def latest_detections(self, project_id: str, digests: Sequence[str]) -> Mapping[str, tuple[Detection, ...]]:
        """Of the newest prediction of each item; items without one are left out."""
        ...

    def said_of(self, project_id: str, digests: Sequence[str]) -> Mapping[str, list[Said]]:
        """What every model said of each item, newest first; items without a prediction are left out."""
        ...

    def embeddings_after(self, project_id: str, model_id: str, sequence: int, limit: int) -> list[StoredEmbedding]: ...
    def candidates(
        self, project_id: str, model_id: str, *, after: int, limit: int, objects: bool = False
    ) -> list[Candidate]:
        """Each item that this version has predicted, by its newest prediction of it: by sequence ascending, beginning
        behind `after` (0: at the first). objects: with the embeddings of their detections."""
        ...

    def count_served(self, project_id: str, model_id: str, *, after: int) -> int:
        """How many predictions of this version behind the sequence `after` were asked for one by one: not those of bulk
        annotations, which choose their images themselves."""
        ...

    def served(self, project_id: str, model_id: str, *, after: int, of: int, limit: int) -> list[Served]:
        """`limit` of the newest `of` of those, evenly, with the newest; all of them where they are no more. By sequence
        descending."""
        ...

    def count_after(self, project_id: str, model_id: str, sequence: int) -> int:
        """How many this version has made behind `sequence`; an item that was predicted twice counts twice."""
        ...

    def counts(self, project_id: str) -> Mapping[str, int]:
        """Keys: predictions, routed, audits."""
        ...


class Objects(Protocol):
    """Embeddings of detections, of predictions by models that give them."""

    def add_all(self, given: Sequence[tuple[Prediction, NDArray[np.float16]]]) -> None:
        """Each prediction's, (m, OBJECT_DIM), once."""
        ...

    def of(self, prediction_id: str) -> NDArray[np.float16] | None: ...
    def after(self, project_id: str, model_id: str, sequence: int, limit: int) -> list[StoredObjects]:
        """At most `limit`, by sequence ascending; start with 0. See `Predictions.embeddings_after`."""
        ...


class IdempotencyKeys(Protocol):
    def claim(self, token_id: str, key: str, request_digest: str, now: datetime) -> Claim:
        """Take the key, or say what it gave before. A claim older than 60 s without an answer is taken over
        (its process died). Raises IdempotencyMismatch (another request), IdempotencyInFlight."""
        ...

    def finish(self, token_id: str, key: str, prediction_id: str) -> None: ...
    def abandon(self, token_id: str, key: str) -> None:
        """The request failed before anything was written: the key may be used again."""
        ...


class Tasks(Protocol):
    def add(self, task: Task) -> None:
        """At most one task per (prediction, policy version, seat): raises Conflict for a second."""
        ...

    def add_all(self, given: Sequence[Task]) -> None:
        """The same for many."""
        ...

    def get(self, task_id: str) -> Task: ...
    def for_update(self, task_id: str) -> Task:
        """Locked until the transaction ends. Raises NotFound."""
        ...

    def work_for_update(self, task_id: str) -> list[Task]:
        """All tasks of the work that this one is of, by seat, locked until the transaction ends. Raises NotFound."""
        ...

    def audited(self, project_id: str, digests: Sequence[str]) -> frozenset[str]:
        """Those of the items that were drawn for an audit, ever."""
        ...

    def works_of_item(self, project_id: str, item_digest: str) -> list[str]:
        """Ids of the first tasks of the item's works, also of those on clips that it is a frame of."""
        ...

    def queues(self, project_id: str, *, by_source: bool) -> list[Queue]:
        """Those that hold unfinished tasks. by_source: each source's apart."""
        ...

    def leasable(self, project_id: str, queue: Queue, *, person: str, now: datetime, limit: int) -> list[Task]:
        """The most urgent tasks that are open or whose lease ran out, by rank, then created_at, then id; without works
        that the person answered, skipped or holds a task of. Not locked: see `take`."""
        ...

    def take(self, candidates: Sequence[Task], *, now: datetime, limit: int) -> list[Task]:
        """The first `limit` of these that are leasable still, one of each work, locked, in the order given. Skips those
        that others lock."""
        ...

    def meant_for(self, project_id: str, *, person: str, now: datetime, limit: int) -> list[Task]:
        """Those that are leasable as of `leasable`, and meant for this person, of whatever lane."""
        ...

    def lapsed(self, now: datetime, *, project_id: str | None, limit: int) -> list[Task]:
        """Unfinished tasks, held by nobody, that are reserved for a person who has had the time, or whose token is
        revoked; locked, skips those that others lock. project_id: None: of all projects."""
        ...

    def handed_out(self, project_id: str, *, limit: int) -> Mapping[str, int]:
        """How many of the last `limit` tasks that were leased are of each source."""
        ...

    def alarming(self, project_id: str, now: datetime, limit: int) -> list[Task]:
        """Unfinished tasks whose alarm has come, the oldest alarm first, locked; skips those that others lock."""
        ...

    def has_alarms(self, project_id: str, now: datetime) -> bool: ...
    def held_by(self, project_id: str, owner: str, now: datetime) -> list[Task]: ...
    def of_prediction(self, prediction_id: str) -> list[Task]: ...
    def items(self, project_id: str) -> Iterator[str]:
        """Digests of the items that have one, in whatever state, each once."""
        ...

    def save(self, task: Task) -> None: ...
    def by_recipe(self, project_id: str) -> Mapping[int, int]:
        """How many unfinished tasks are to be answered under each version of the recipe."""
        ...

    def move_to_recipe(self, project_id: str, version: int) -> int:
        """Every unfinished task is answered under this version from now on; how many were not before."""

    def reopen(self, task: Task) -> None: ...
    def count_open(self, project_id: str, now: datetime, *, at_most: int) -> int:
        """Tasks that nobody holds; beyond `at_most` they are not counted."""
        ...

    def counts(self, project_id: str, now: datetime) -> Mapping[TaskState, int]:
        """A lease that has run out counts as open."""
        ...


class Gates(Protocol):
    """Callers who wait for people."""

    def endings(self, prediction_ids: Sequence[str]) -> Mapping[str, Ending]:
        """Of those of the predictions on which the work of people has ended."""
        ...

    def has_passed(self, now: datetime) -> bool:
        """Whether there is something for `put_back` to do."""
        ...

    def put_back(self, now: datetime, *, limit: int) -> int:
        """Unfinished tasks whose callers' deadline has passed get their usual rank again; of at most `limit`, how many.
        Skips those that others lock."""
        ...

    def is_closing(self) -> bool:
        """Whether the service ends, so that nobody is to wait any more."""
        ...

    def set_closing(self, *, closing: bool) -> None: ...


class Submissions(Protocol):
    def add(self, submission: Submission) -> None:
        """Raises AlreadySubmitted where there is one under this epoch, or by this person for this round of the work."""
        ...

    def of_work(self, work_id: str) -> list[Submission]:
        """Answers and skips of all rounds, oldest first."""
        ...

    def of_item(self, project_id: str, item_digest: str) -> list[Submission]:
        """Of all works and rounds, oldest first."""
        ...

    def count_since(self, project_id: str, reviewer: str, moment: datetime) -> int:
        """How many a person has sent, skips too."""
        ...

    def works_answered(self) -> Mapping[str, int]:
        """By person: how many works it answered, or judged. One that was opened anew counts once."""
        ...

    def settle(self, submission_id: str, *, settles: bool) -> None:
        """Say whether it brought its item the truth, which is known only later where answers wait for others."""
        ...

    def page(self, project_id: str, *, after: str | None, limit: int) -> list[Submission]: ...
    def reviewed(self, project_id: str, model_id: str) -> list[Reviewed]:
        """The predictions of this version that routing or the audit lot sent to people and that were answered, in the
        order of the answers; not those that were selected, since how probable that was is not known."""
        ...

    def count_reviewed(self, project_id: str, model_id: str) -> int:
        """How many those are."""
        ...

    def count_corrected_since(self, project_id: str, moment: datetime | None) -> int:
        """Items of which a prediction had to be corrected by an answer that settled them after `moment`."""
        ...

    def failed_items(self, project_id: str, digests: Sequence[str]) -> frozenset[str]:
        """Those of the items of which some prediction, by whichever model, had to be corrected by the answer that
        settled them."""
        ...


class SampledPredictions(Protocol):
    """What thresholds and estimates are made from."""

    def newest(self, project_id: str, model_id: str, *, since: datetime | None, limit: int) -> list[Sampled]:
        """The last `limit` predictions of a model version, made at `since` or later, that routing or the audit lot sent
        to people, newest first; whether or not they were answered."""
        ...

    def population(self, project_id: str, model_id: str, *, since: datetime, until: datetime) -> Iterator[Predicted]:
        """Every prediction of a model version, from `since` on, before `until`, oldest first; use it up inside the
        transaction."""
        ...

    def drawn(
        self, project_id: str, model_id: str, *, since: datetime, until: datetime, audits: bool, limit: int
    ) -> list[Drawn]:
        """The last `limit` that routing or the audit lot sent to people, from `since` on, before `until`, newest first.
        audits: of the lot alone."""
        ...

    def first_drawn(self, project_id: str, model_id: str, *, since: datetime, limit: int) -> list[Drawn]:
        """The first `limit` that routing or the audit lot sent to people, from `since` on, oldest first; of callers
        alone, without bulk annotation."""
        ...

    def named(self, project_id: str, prediction_ids: Sequence[str]) -> list[Sampled]:
        """Those of them that routing or the audit lot sent to people, in no order; without their signals."""
        ...

    def count(self, project_id: str, model_id: str, *, since: datetime, until: datetime, most: int) -> int:
        """Predictions from `since` on, before `until`; `most` where there are more."""
        ...

    def crowds(self, project_id: str, model_id: str, *, since: datetime, until: datetime) -> list[Crowd]:
        """What predictions from `since` on, before `until`, come to, by day and source, oldest first; those that had no
        chance in the audit lot are not in it."""
        ...

    def reach(self, project_id: str, model_id: str, *, since: datetime, until: datetime) -> tuple[int, float]:
        """How many predictions callers got from `since` on, before `until`, without bulk annotation, and the smallest
        probability with which one of them could come to people; 1 where there are none."""
        ...


class Outcomes(Protocol):
    """How predictions turned out outside, as callers report it: one word of each caller for each prediction."""

    def get(self, prediction_id: str, reported_by: str) -> ReportedOutcome | None: ...

    def save(self, outcome: ReportedOutcome) -> None:
        """In place of what the same caller reported before."""
        ...

    def of_prediction(self, prediction_id: str) -> list[ReportedOutcome]:
        """Oldest first."""
        ...

    def count(self, project_id: str, model_id: str, *, since: datetime, until: datetime) -> Mapping[TurnedOut, int]:
        """Predictions made from `since` on, before `until`; wrong where anybody says so."""
        ...


class ProductionFiguresKept(Protocol):
    """The newest figures for monitoring, of each project."""

    def all(self) -> list[ProductionFigures]: ...

    def save(self, figures: ProductionFigures) -> None:
        """In place of those before."""
        ...


class ThresholdRecords(Protocol):
    def add(self, record: Thresholds, evidence: Sequence[str]) -> Thresholds:
        """As the project's next version, which is returned. evidence: ids of the predictions that it rests on."""
        ...

    def newest(self, project_id: str, model_id: str, policy_version: int, risk_key: str | None) -> Thresholds | None:
        """Of just this model, policy and risk."""
        ...

    def of(self, project: Project, model: ModelVersion) -> Sequence[Thresholds]:
        """What the project's policy routes this model's predictions by: the newest for its learned risk, and for the
        heuristic, that there are. Reads nothing where nothing is promised."""
        ...

    def latest(self, project_id: str, model_id: str) -> Thresholds | None:
        """Of this model, whatever the policy and the risk."""
        ...

    def get(self, project_id: str, version: int) -> Thresholds:
        """Raises NotFound."""
        ...

    def evidence(self, project_id: str, version: int) -> list[str]:
        """Ids of predictions, oldest first."""
        ...

    def page(self, project_id: str, *, before: int | None, limit: int) -> list[Thresholds]:
        """The newest first, below the version `before`."""
        ...


class Efforts(Protocol):
    """What submissions took, one record each, and what an hour costs."""

    def add(self, effort: Effort) -> None: ...
    def between(self, project_id: str, since: datetime, until: datetime) -> Iterator[Effort]:
        """From `since` on, before `until`, oldest first; not all of them are held at once."""
        ...

    def newest(self, project_id: str, since: datetime, until: datetime, limit: int) -> list[Effort]:
        """The last `limit` of those."""
        ...

    def drawn(self, project_id: str, since: datetime, until: datetime) -> list[tuple[bool, int]]:
        """Of answers to tasks where the lot decided whether the prediction was shown: whether it was, and by how many
        shapes the answer differs from it. Without adjudications, and predictions of nothing, which look the same
        either way."""
        ...

    def shapes_of(self, submission_ids: Sequence[str]) -> Mapping[str, tuple[Shape, ...]]: ...
    def count_served(self, project_id: str, since: datetime, until: datetime) -> int:
        """Items that were predicted in that time, each once."""
        ...

    def rates(self, project_id: str) -> Rates | None:
        """None where nobody has set them."""
        ...

    def save_rates(self, project_id: str, rates: Rates) -> None: ...


class Comments(Protocol):
    """What people say of items."""

    def add(self, comment: Comment) -> None: ...
    def reply(self, reply: Reply) -> None: ...
    def for_update(self, comment_id: str) -> Comment:
        """Locked until the transaction ends. Raises NotFound."""
        ...

    def settle(self, comment: Comment) -> None:
        """Write whether it is resolved, when and by whom."""
        ...

    def of_item(self, project_id: str, item_digest: str) -> list[Comment]:
        """Oldest first."""
        ...

    def page(
        self,
        project_id: str,
        *,
        state: CommentState | None,
        kind: CommentKind | None,
        after: str | None,
        limit: int,
    ) -> list[Comment]:
        """Newest first; `after` is a comment id. None: whatever it is."""
        ...

    def replies(self, comment_ids: Sequence[str]) -> Mapping[str, list[Reply]]:
        """By comment, oldest first; those without any are left out."""
        ...

    def count_by(self, project_id: str, item_digest: str, author: str) -> int: ...
    def parts(self, project_id: str, item_digest: str, person: str) -> list[Part]:
        """Tasks of the item that the person has, had last, or answered or skipped."""
        ...


class Drafts(Protocol):
    def save(self, draft: Draft) -> None:
        """In place of the person's one before. Raises StaleLease where that one has a later epoch."""
        ...

    def of(self, task_ids: Sequence[str], reviewer: str) -> Mapping[str, Draft]:
        """By task."""
        ...

    def drop(self, task_id: str, reviewer: str | None) -> None:
        """reviewer None: of all."""
        ...


class HeldAnswers(Protocol):
    """By work. Who writes one has locked the work (`Tasks.work_for_update`)."""

    def find(self, work_id: str) -> HeldAnswer | None: ...
    def get(self, work_id: str) -> HeldAnswer:
        """Raises NotFound."""
        ...

    def save(self, answer: HeldAnswer) -> None:
        """In place of that of an earlier round."""
        ...

    def stand(self, work_id: str, standing: AnswerStanding) -> None: ...
    def drop(self, work_id: str) -> None: ...


class Lots(Protocol):
    """Who locks a lot and works locks the lot first; who has locked works does not ask for a lot's lock."""

    def add(self, lot: Lot) -> bool:
        """False where the project has one that is filling for this source."""
        ...

    def get(self, project_id: str, lot_id: str) -> Lot:
        """Raises NotFound."""
        ...

    def state(self, lot_id: str) -> LotState: ...
    def for_update(self, lot_id: str) -> Lot:
        """Locked until the transaction ends. Raises NotFound."""
        ...

    def filling(self, project_id: str, source: str) -> Lot | None:
        """That which takes tasks, locked."""
        ...

    def save(self, lot: Lot) -> None:
        """Of a locked lot."""
        ...

    def page(self, project_id: str, *, after: str | None, limit: int) -> list[Lot]:
        """Newest first; `after` is a lot's id."""
        ...

    def put(self, lot_id: str, works: Mapping[str, str]) -> None:
        """works: the item of each."""
        ...

    def draw(self, work_ids: Sequence[str]) -> None:
        """The order of inspection."""
        ...

    def members(self, lot_id: str) -> list[Member]:
        """By place."""
        ...

    def inspected(self, work_id: str, *, defect: bool) -> None:
        """What QA found; the first time counts."""
        ...

    def set_void(self, work_id: str, *, void: bool) -> None: ...
    def recall(self, lot_id: str) -> None:
        """The answers that are in QA, from there."""
        ...

    def withdraw(self, lot_id: str) -> None:
        """The answers that became the truth without QA wait again."""
        ...

    def unfollowed(self, lot_id: str, *, limit: int) -> list[str]:
        """Works whose answers wait, or were recalled, by id."""
        ...

    def stirring(self) -> list[str]:
        """Lots of all projects that are not decided, or have answers which their verdict has not reached."""
        ...

    def counts(self, lot_ids: Sequence[str]) -> Mapping[str, Mapping[AnswerStanding, int]]:
        """Of the answers of each."""
        ...

    def voids(self, lot_ids: Sequence[str]) -> Mapping[str, int]:
        """How many works of each ended without an answer."""
        ...


class People(Protocol):
    def for_update(self, token_id: str) -> Person:
        """Whoever else asks so for the same person waits until this transaction ends. Who is not described has no
        groups and no skills."""
        ...

    def all(self) -> Mapping[str, Person]:
        """Those that are described, by token."""
        ...

    def save(self, person: Person) -> None: ...


class Golden(Protocol):
    """Golden items, who got which, and what they answered; nothing of it is among submissions."""

    def save(self, item: GoldenItem) -> None:
        """Marked for the first time, or with another version."""
        ...

    def remove(self, project_id: str, item_digest: str) -> bool:
        """Whether it was golden. Its versions go on where it is marked again."""
        ...

    def version(self, project_id: str, item_digest: str) -> int:
        """The last it had, also where it is golden no more; 0 for none."""
        ...

    def get(self, project_id: str, item_digest: str) -> GoldenItem | None: ...
    def all(self, project_id: str) -> list[GoldenItem]:
        """Newest first."""
        ...

    def tally(self, project_id: str, reviewer: str) -> Tally: ...
    def eligible(self, project_id: str, reviewer: str, *, given_before: datetime, predicted: bool) -> list[str]:
        """Digests of what the person may get: not given since then, and never answered as ordinary work. predicted:
        only those that have a prediction."""
        ...

    def give(self, seat: GoldenSeat) -> None: ...
    def seat(self, task_id: str) -> GoldenSeat:
        """Raises NotFound."""
        ...

    def waiting(self, project_id: str, reviewer: str) -> list[GoldenSeat]:
        """Seats that are not closed, oldest first."""
        ...

    def close(self, task_id: str) -> None: ...
    def answer(self, answer: GoldenAnswer) -> None:
        """Raises AlreadySubmitted where the task has one under this epoch."""
        ...

    def said(self, task_id: str) -> list[Submission]: ...
    def scored(self, project_id: str, reviewer: str, *, limit: int) -> list[Scored]:
        """Answers with a score against the present trusted shapes of an item that is still golden; newest first."""
        ...

    def count_since(self, project_id: str, reviewer: str, moment: datetime) -> int:
        """Answers and skips."""
        ...


class Standings(Protocol):
    def get(self, project_id: str, reviewer: str) -> KnownStanding | None: ...
    def all(self, project_id: str) -> Mapping[str, KnownStanding]:
        """By reviewer."""
        ...

    def save(self, known: KnownStanding) -> None: ...
    def decided(self, project_id: str, reviewer: str, until: datetime) -> list[Decided]:
        """Works that this person's answer alone decided, or will with their lots, and that were not opened anew since;
        oldest first. Without answers that QA is to look at."""
        ...

    def ask_again(self, redos: Sequence[Redo]) -> None:
        """What is asked for already stays as it is."""
        ...

    def redos(self, *, limit: int) -> list[Redo]: ...
    def done_again(self, submission_id: str) -> None: ...


class Agreements(Protocol):
    def add(self, agreement: WorkAgreement) -> None: ...
    def get(self, work_id: str, round_: int) -> WorkAgreement | None: ...
    def of_item(self, project_id: str, item_digest: str) -> WorkAgreement | None:
        """The newest."""
        ...

    def last(self, project_id: str, *, limit: int) -> list[WorkAgreement]:
        """Newest first."""
        ...

    def votes(self, project_id: str, *, limit: int) -> list[Mapping[str, str]]:
        """Of the last `limit` works: of each object, what each person called it."""
        ...


class Truths(Protocol):
    def add(self, truth: GroundTruth) -> None:
        """Raises Conflict unless its version is the item's next."""
        ...

    def add_all(self, given: Sequence[GroundTruth]) -> None:
        """The next versions of many items, each once, that the caller has read in this transaction and keeps others
        from changing. Raises Conflict where one is there already; the transaction is then spoilt."""
        ...

    def current(self, project_id: str, item_digest: str) -> GroundTruth | None: ...
    def current_of(self, project_id: str, digests: Sequence[str]) -> Mapping[str, GroundTruth]:
        """The newest of each of many items; items without truth are left out."""
        ...

    def versions(self, project_id: str, digests: Sequence[str]) -> Mapping[str, int]:
        """The newest of each item; items without truth are left out."""
        ...

    def items(self, project_id: str) -> Iterator[str]:
        """Digests of the items that have theirs, each once."""
        ...

    def all_current(self, project_id: str) -> Iterator[tuple[Item, GroundTruth]]:
        """Each item with its newest ground truth, in the order of the digests; without those whose image was dropped
        (`Items.drop`)."""
        ...

    def count_reviewed_since(self, project_id: str, moment: datetime | None) -> int:
        """Items whose truth people have made or changed after `moment`; None: ever."""
        ...

    def label_counts(self, project_id: str) -> Mapping[str, int]:
        """How many shapes have each label in those; labels without any are left out."""
        ...


class Models(Protocol):
    def add(self, model: ModelVersion) -> None: ...
    def get(self, project_id: str, model_id: str) -> ModelVersion: ...
    def by_digest(self, project_id: str, digest: str) -> ModelVersion | None: ...
    def all(self, project_id: str) -> list[ModelVersion]:
        """Newest first."""
        ...

    def save(self, model: ModelVersion) -> None:
        """Write what is found out about a model; not its risk, its drift reference and its serving
        options, which may change meanwhile."""
        ...

    def judge(self, project_id: str, model_id: str, risk_key: str) -> None:
        """Write what was learned of its failures."""
        ...

    def refer(self, project_id: str, model_id: str, drift_key: str) -> None:
        """Write what drift is measured against."""
        ...

    def configure(self, project_id: str, model_id: str, serving: Mapping[str, object]) -> None:
        """Write the serving options."""
        ...


class Promotions(Protocol):
    def add(self, promotion: Promotion) -> None: ...
    def get(self, promotion_id: str) -> Promotion: ...
    def queued(self) -> list[Promotion]:
        """Of all projects, oldest first."""
        ...

    def of_project(self, project_id: str) -> list[Promotion]:
        """Newest first."""
        ...

    def finished_since(self, moment: datetime) -> list[Promotion]:
        """Of all projects, active or failed, oldest first."""
        ...

    def save(self, promotion: Promotion) -> None: ...


class Rollouts(Protocol):
    def add(self, rollout: Rollout) -> None:
        """Raises Conflict where the project has an unfinished one of this kind."""
        ...

    def get(self, project_id: str, rollout_id: str) -> Rollout: ...
    def unfinished(self) -> list[Rollout]:
        """Queued and active ones of all projects, oldest first."""
        ...

    def of_project(self, project_id: str) -> list[Rollout]:
        """Newest first."""
        ...

    def save(self, rollout: Rollout, *, expected: RolloutState) -> bool:
        """Compare and swap: write state, error and the times where the state is `expected`; False where not."""
        ...

    def stands(self, rollout_id: str, standing: CanaryStanding) -> None:
        """Keep what the last look at a canary found."""
        ...

    def add_shadow_answer(self, answer: ShadowAnswer) -> None: ...
    def shadow_answers(self, rollout_id: str, *, after: str, limit: int) -> list[ShadowAnswer]:
        """By prediction id ascending, beginning behind `after` ("" for the first)."""
        ...


class Cycles(Protocol):
    def add(self, cycle: Cycle) -> None:
        """Raises CycleRunning where the project has an unfinished one."""
        ...

    def get(self, project_id: str, cycle_id: str) -> Cycle: ...
    def unfinished(self) -> list[Cycle]:
        """Of all projects, oldest first."""
        ...

    def ended(self, cycle_ids: Collection[str]) -> list[Cycle]:
        """Those of these that have ended, of all projects."""
        ...

    def page(self, project_id: str, *, after: str | None, limit: int) -> list[Cycle]: ...
    def froze(self, project_id: str, snapshot_digest: str) -> list[Cycle]:
        """Those of the project with this snapshot, newest first."""
        ...

    def count_judged(self, project_id: str, evaluation_set: str) -> int:
        """How many cycles have come to a verdict of the gate on just this set of images (`evaluation["set"]`)."""
        ...

    def triggers(self, project_id: str) -> TriggerRules:
        """What asks for a cycle by itself; nothing where nobody has set it."""
        ...

    def save_triggers(self, project_id: str, rules: TriggerRules) -> None: ...
    def slices(self, project_id: str) -> tuple[SliceRule, ...]:
        """Which views are slices of its evaluation, by name; none where nobody has set any."""
        ...

    def save_slices(self, project_id: str, rules: Sequence[SliceRule]) -> None:
        """In place of those that there are."""
        ...

    def save(self, cycle: Cycle) -> None: ...


class Annotations(Protocol):
    def add(self, job: AnnotationJob) -> None: ...
    def get(self, project_id: str, job_id: str) -> AnnotationJob: ...
    def for_update(self, project_id: str, job_id: str) -> AnnotationJob:
        """Locked until the transaction ends. Raises NotFound."""
        ...

    def unfinished(self) -> list[AnnotationJob]:
        """Of all projects, oldest first."""
        ...

    def page(self, project_id: str, *, after: str | None, limit: int) -> list[AnnotationJob]:
        """Newest first; `after` is a job id."""
        ...

    def save(self, job: AnnotationJob) -> None:
        """Raises Conflict where the stored job has ended."""
        ...

    def record(self, results: Sequence[AnnotationResult]) -> None:
        """Raises Conflict where an image of them has its result: then none of them counts."""
        ...

    def answered(self, job_id: str) -> frozenset[int]:
        """Positions that have a result."""
        ...

    def results(self, job_id: str, *, after: int, limit: int) -> list[AnnotationResult]:
        """By position ascending, beginning behind `after` (-1: at the first)."""
        ...

    def bad(self, job_id: str, *, limit: int) -> list[AnnotationResult]:
        """Those without a prediction, by position ascending."""
        ...


class Selections(Protocol):
    def add(self, selection: Selection, picks: Sequence[PickedItem]) -> None: ...
    def get(self, project_id: str, selection_id: str) -> Selection: ...
    def page(self, project_id: str, *, after: str | None, limit: int) -> list[Selection]:
        """Newest first; `after` is a selection id."""
        ...

    def picks(self, selection_id: str) -> list[PickedItem]:
        """By rank."""
        ...


class DriftReports(Protocol):
    def add(self, report: DriftReport) -> None: ...
    def page(self, project_id: str, *, after: str | None, limit: int) -> list[DriftReport]:
        """Newest first; `after` is a report's id."""
        ...

    def scheduled(self, project_id: str, *, limit: int) -> list[DriftReport]:
        """Those of the schedule, of whatever model, newest first."""
        ...


class Maps(Protocol):
    def get(self, project_id: str) -> EmbeddingMap | None:
        """None where nobody has asked for it."""
        ...

    def for_update(self, project_id: str) -> EmbeddingMap | None:
        """Locked until the transaction ends."""
        ...

    def all(self) -> list[EmbeddingMap]:
        """Of all projects; the one that was written longest ago first."""
        ...

    def save(self, record: EmbeddingMap) -> None: ...


class Groups(Protocol):
    """Items in an order, and the works on them."""

    def add(self, group: Group) -> bool:
        """False where there is one with this id already (which then stays as it is)."""
        ...

    def get(self, project_id: str, group_id: str) -> Group: ...
    def find(self, project_id: str, group_id: str) -> Group | None: ...
    def for_update(self, project_id: str, group_id: str) -> Group:
        """Locked until the transaction ends. Raises NotFound."""
        ...

    def page(self, project_id: str, *, after: str | None, limit: int) -> list[Group]:
        """Newest first; `after` is a group's id."""
        ...

    def save(self, group: Group) -> None: ...
    def append(self, frames: Sequence[Frame]) -> None: ...
    def among(self, group_id: str, digests: Sequence[str]) -> frozenset[str]:
        """Those of the items that are frames of the group."""
        ...

    def frames(self, project_id: str, group_id: str, *, first: int, limit: int) -> list[tuple[Frame, Item]]:
        """By index, from `first` on."""
        ...

    def places(self, project_id: str) -> list[Frame]:
        """Every frame of every group, by group and index."""
        ...

    def split_groups(self, project_id: str, digests: Sequence[str]) -> Mapping[str, str]:
        """What items may not be torn apart from ("" for nothing), by digest; those that there are not are left out."""
        ...

    def keep_together(self, project_id: str, digests: Sequence[str], name: str) -> None:
        """These items, and all that share a split group with one of them, have the split group `name` from now on."""
        ...

    def add_works(self, works: Sequence[ClipWork]) -> None: ...
    def work(self, work_id: str) -> ClipWork | None:
        """None for a work on one item."""
        ...

    def works(self, group_id: str) -> list[ClipWork]:
        """By their first frame."""
        ...


class Tokens(Protocol):
    def add(self, token: Token) -> None: ...
    def by_secret(self, secret_digest: str) -> Token | None:
        """The token, revoked or not."""
        ...

    def all(self) -> list[Token]: ...
    def get(self, token_id: str) -> Token: ...
    def revoke(self, token_id: str, now: datetime) -> None: ...


class Events(Protocol):
    def add(self, event: Event) -> None:
        """Kept in the history; and told, with this transaction, to the webhook endpoints that want its type
        (loop/domain/announcements.py)."""
        ...

    def announce(self, told: Iterable[Event]) -> None:
        """To webhook endpoints alone: another line of the history says it already."""
        ...

    def after(self, project_id: str, sequence: int, limit: int) -> list[Event]: ...
    def since(self, project_id: str, kind: str, moment: datetime) -> list[Event]:
        """Of this kind, from this moment on, in the order of the commits."""
        ...

    def newest(self, project_id: str, kind: str, *, limit: int) -> list[Event]:
        """Of this kind, the newest first."""
        ...


class Reviews(Protocol):
    """What people have settled, as a feed for other programs."""

    def after(self, project_id: str, cursor: int, limit: int) -> ReviewsAfter:
        """At most `limit` behind the cursor; start with 0. Cursors are in the order of the commits: going on from
        `next` misses nothing and gives nothing twice. A transaction does not see its own here."""
        ...


class Endpoints(Protocol):
    """Of webhooks. Deliveries of an endpoint are changed only by who has its row locked, or claims them."""

    def add(self, endpoint: Endpoint) -> None: ...
    def get(self, endpoint_id: str) -> Endpoint: ...
    def all(self) -> list[Endpoint]:
        """Oldest first."""
        ...

    def for_update(self, endpoint_id: str) -> Endpoint:
        """Locked until the transaction ends; events can still be kept for it. Raises NotFound."""
        ...

    def save(self, endpoint: Endpoint) -> None: ...
    def remove(self, endpoint_id: str) -> None:
        """With all its deliveries. Waits for transactions that keep an event for it."""
        ...


class Deliveries(Protocol):
    """The outbox of webhooks. `Events.add` fills it."""

    def get(self, endpoint_id: str, message_id: str) -> Delivery: ...
    def page(self, endpoint_id: str, *, state: DeliveryState | None, after: str | None, limit: int) -> list[Delivery]:
        """Newest first; `after` is a message id."""
        ...

    def attempts(self, endpoint_id: str, message_id: str) -> list[Attempt]:
        """Oldest first."""
        ...

    def backlogs(self) -> Mapping[str, Backlog]:
        """By endpoint; those without any are left out."""
        ...

    def due(self, now: datetime) -> list[str]:
        """Enabled endpoints for which something may be claimed."""
        ...

    def claim(self, endpoint_id: str, *, now: datetime, until: datetime, limit: int) -> list[Delivery]:
        """Those that are due, the longest due first, under their next epoch; nobody else gets them before `until`.
        Skips those that others are claiming."""
        ...

    def for_update(self, endpoint_id: str, message_ids: Sequence[str]) -> list[Delivery]:
        """Those of them that there are, locked until the transaction ends."""
        ...

    def save(self, deliveries: Sequence[Delivery]) -> None: ...
    def record(self, attempts: Sequence[Attempt]) -> None: ...
    def revive(self, endpoint_id: str, now: datetime) -> int:
        """Replay all that are dead; how many that was."""
        ...

    def prune(self, endpoint_id: str, state: DeliveryState | None, before: datetime, limit: int) -> int:
        """Forget at most `limit` deliveries that were made before; how many that was."""
        ...


class LabelStudioLinks(Protocol):
    """Which of our tasks lie in Label Studio, and what came of them."""

    def add_all(self, links: Sequence[Link]) -> None:
        """Raises Conflict where one of the tasks lies there already; the transaction is then spoilt."""
        ...

    def for_update(self, link_id: str) -> Link:
        """Locked until the transaction ends. Raises NotFound."""
        ...

    def save(self, link: Link) -> None: ...
    def of_project(
        self, project_id: str, *, server: str | None = None, place: int | None = None, states: Sequence[LinkState] = ()
    ) -> list[Link]:
        """Oldest first; None and (): whatever it is."""
        ...

    def rounds(self, work_ids: Sequence[str]) -> Mapping[str, int]:
        """By work, the last round in which a task of it was sent and not called back or refused."""
        ...


class LabelStudio(Protocol):
    """The server there. Each raises Unavailable where it does not answer, or not as expected, and SettingsError where
    it refuses the token."""

    @property
    def address(self) -> str:
        """Raises SettingsError where none is set."""
        ...

    def project(self, title: str, interface: str) -> RemoteProject:
        """The one of this title; it is made with the labelling interface (XML) where there is none. Raises Conflict
        where there are several."""
        ...

    def upload(self, place: int, name: str, content: bytes, *, again: bool) -> str:
        """Where the image lies there, as tasks name it. again: it may be there under this name already."""
        ...

    def send(self, place: int, body: Mapping[str, object]) -> int | None:
        """Make a task; its number. None where it is made later. Raises Invalid where it can not be one."""
        ...

    def find(self, place: int, key: str) -> list[int]:
        """Tasks whose data say this key, oldest first."""
        ...

    def tasks(self, place: int, page: int) -> tuple[list[RemoteTask], bool]:
        """A page, from 1, of a project's tasks, oldest first; and whether it is the last. Raises NotFound for a project
        that is not to be seen."""
        ...

    def annotations(self, remote: int) -> list[Annotation] | None:
        """What was answered to a task; None where there is no such task."""
        ...

    def delete(self, remote: int) -> None:
        """Whether it is there or not."""
        ...


class FunctionCalls(Protocol):
    """The durable queue of functions. `Events.add` and new items fill it, as the projects' policies say."""

    def add(self, call: FunctionCall) -> bool:
        """False where the function was called for this subject and trigger before; that call then stays as it is."""
        ...

    def get(self, project_id: str, call_id: str) -> FunctionCall:
        """Raises NotFound."""
        ...

    def unfinished(self, project_id: str) -> int:
        """How many wait or are being run."""
        ...

    def is_due(self, now: datetime) -> bool:
        """Whether one can be claimed. Reads no more than one row."""
        ...

    def claim(self, *, now: datetime, until: datetime) -> FunctionCall | None:
        """The one of all projects that is due the longest, under its next epoch; nobody else gets it before `until`.
        Skips those that others are claiming."""
        ...

    def settle(self, call: FunctionCall) -> bool:
        """Write what came of a claimed call. False, and nothing is written, where its epoch is not the newest."""
        ...

    def prune(self, before: datetime, limit: int) -> int:
        """Forget at most `limit` calls that ended before; how many that was."""
        ...


class Configuration(Protocol):
    """What a gateway may keep in memory (projects, models, tokens and rollouts), and what waits for the reconcile loop
    (promotions, cycles and annotations that are new, and maps that are asked for)."""

    def revision(self) -> int:
        """Raised by every transaction that writes any of these, together with what it writes.

        Who reads it, and these in the same or a later transaction, has all that was written up to it. Equal
        revisions mean that nothing was written in between.
        """
        ...


class Transaction(Protocol):
    """One database transaction: commits when its block ends, rolls back when the block raises."""

    projects: Projects
    items: Items
    item_queries: ItemQueries
    item_histories: ItemHistories
    views: Views
    predictions: Predictions
    objects: Objects
    keys: IdempotencyKeys
    tasks: Tasks
    submissions: Submissions
    sampled: SampledPredictions
    outcomes: Outcomes
    production_figures: ProductionFiguresKept
    thresholds: ThresholdRecords
    efforts: Efforts
    comments: Comments
    gates: Gates
    drafts: Drafts
    held_answers: HeldAnswers
    lots: Lots
    people: People
    golden: Golden
    standings: Standings
    agreements: Agreements
    truths: Truths
    models: Models
    promotions: Promotions
    rollouts: Rollouts
    cycles: Cycles
    annotations: Annotations
    selections: Selections
    drift_reports: DriftReports
    maps: Maps
    groups: Groups
    tokens: Tokens
    events: Events
    reviews: Reviews
    endpoints: Endpoints
    deliveries: Deliveries
    function_calls: FunctionCalls
    label_studio: LabelStudioLinks
    configuration: Configuration


class Store(Protocol):
    def begin(self) -> AbstractContextManager[Transaction]:
        """A writing transaction (SQLite: BEGIN IMMEDIATE)."""
        ...

    def read(self) -> AbstractContextManager[Transaction]:
        """A reading transaction; writes in it are an error."""
        ...

    def revision(self) -> int:
        """As `Configuration.revision` of a transaction that begins now, and cheap enough to ask with every request."""
        ...

    def secret(self) -> bytes:
        """32 random bytes of this installation, made at the first start: keys the audit lottery."""
        ...


class Staged(Protocol):
    """Content on its way to its key, which it may or may not get. Not for several threads at once."""

    def keep(self) -> str:
        """The key, as of `Blobs.put`. May be repeated. Raises Unavailable."""
        ...

    def drop(self) -> None:
        """Nobody will keep it. Does nothing once it is kept."""
        ...


class Blobs(Protocol):
    """Content-addressed bytes. A key is the SHA-256 of the content."""

    def put(self, content: bytes) -> str:
        """Durable when it returns: temp file, fsync, rename, fsync of the folder. Idempotent."""
        ...

    def stage(self, content: bytes) -> Staged:
        """What takes longest of a put, before it is known whether it is wanted; no key shows it. Must end in `keep`
        or `drop`; what a crash leaves is cleared away. Raises Unavailable."""
        ...

    def get(self, key: str) -> bytes:
        """Checks the digest. Raises NotFound, or Unavailable where the bytes do not match their key."""
        ...

    def pieces(self, key: str) -> Iterator[bytes]:
        """The same bytes, a part at a time, so that large ones need not be held. Raises as `get`; damage is told only
        at the end, in place of the last part."""
        ...

    def place(self, key: str, path: Path, *, link: bool) -> None:
        """The same bytes as the new file `path`, checked. link: as a hard link to the blob, where both are on one local
        disk. Raises as `get`, and OSError where the file cannot be written."""
        ...

    def has(self, key: str) -> bool: ...
    def remove(self, key: str) -> None:
        """Only for content that nobody else can have put, such as a drawing with its time in it. Who is reading it may
        fail. Does nothing where there is none. Raises Unavailable."""
        ...


class Sender(Protocol):
    """How webhooks leave this machine."""

    async def send(self, endpoint: Endpoint, message_id: str, body: str) -> Answer:
        """Sign and post once. What goes wrong is the answer's error; nothing is raised."""
        ...


# --- models ------------------------------------------------------------------------------------


class Detector(Protocol):
    """A loaded model. Up to `streams` callers may predict at once, each in a thread of its own; more are safe, and
    wait."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    @property
    def embedding_dim(self) -> int: ...

    @property
    def streams(self) -> int:
        """How many callers at once make it faster; at least 1."""
        ...

    @property
    def batch(self) -> int:
        """How many images of one call it gains from; at least 1. More are answered, too."""
        ...

    def predict(self, images: Sequence[NDArray[np.uint8]], *, score_floor: float) -> list[Inference]:
        """What the network says of each of `images` ((H, W, 3) RGB uint8, sizes may differ), in their order;
        boxes, scores and embedding of an image are from one forward pass.

        Candidates scoring at least `score_floor` after NMS, boxes in pixels of each original image.
        """
        ...
