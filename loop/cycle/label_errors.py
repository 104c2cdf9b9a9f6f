"""Ground truth that is probably wrong: found by what models said that had not learned from it, and asked for again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from loop.domain.access import Permission, Token, require
from loop.domain.errors import AskanceError, Conflict
from loop.domain.item import Item, Split
from loop.domain.model import ModelVersion
from loop.domain.ports import Blobs, Clock, Entropy, Event, Said, Store, Transaction
from loop.domain.prediction import Detection
from loop.domain.project import Project
from loop.domain.review import Task
from loop.domain.truth import GroundTruth, Shape
from loop.review.asking import ask_people
from training.evaluate import Found, Truth
from training.label_errors import Flaw, Suspicion, score_labels
from training.snapshot import Snapshot

MOST_COMPARED = 20_000  # items with ground truth: some ten seconds
_PART = 500

# Ask for an item again that people have answered; `loop.review.people.Oversight.reopen_item`. Raises Conflict.
AskAgain = Callable[[Token, str, str], Sequence[Task]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """What speaks against one box of the truth, or for one that is missing. score: in [0, 1], 0 for certainly wrong.
    shape: of the truth, None where one is missing. detection: that says otherwise; None where nothing was found."""

    score: float
    flaw: Flaw
    shape: Shape | None
    detection: Detection | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubtfulItem:
    """score: in [0, 1], of all its truth, lowest first. split: where it is fixed. doubts: the worst first."""

    item_digest: str
    score: float
    truth_version: int
    split: Split | None
    model_id: str
    prediction_id: str
    doubts: tuple[Doubt, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelReport:
    """compared: items whose truth was compared; unseen: those with truth that no model has predicted without having
    learned it; more: there are more items than MOST_COMPARED, of which those with the smallest digests stand for all.
    """

    compared: int
    unseen: int
    more: bool
    items: tuple[DoubtfulItem, ...]


@dataclass(frozen=True, slots=True)
class AskedAgain:
    """items: asked for again. left: by item, why it was not."""

    items: list[str]
    left: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Compared:
    item: Item
    truth: GroundTruth
    said: Said


@dataclass(frozen=True, slots=True)
class LabelErrors:
    store: Store
    blobs: Blobs
    ask_again: AskAgain
    clock: Clock
    entropy: Entropy

    def report(self, operator: Token, project_id: str, *, limit: int) -> LabelReport:
        """The `limit` most doubtful items. Each item is compared with the newest prediction by a model that was not
        trained on it, or made before its truth was known. Raises NotFound, Forbidden."""
        require(operator, Permission.OPERATE, project_id)
        with self.store.read() as tx:
            project = tx.projects.get(project_id)
            learned = _Learned(self.blobs, {model.id: model for model in tx.models.all(project_id)})
            rows = tx.truths.all_current(project_id)
            pairs = list(islice(rows, MOST_COMPARED))
            more = next(rows, None) is not None
            compared = [
                one
                for begin in range(0, len(pairs), _PART)
                for one in _with_what_was_said(tx, project_id, pairs[begin : begin + _PART], learned)
            ]
        doubtful = _doubtful(compared, project)[:limit]
        unseen = len(pairs) - len(compared)
        return LabelReport(compared=len(compared), unseen=unseen, more=more, items=tuple(doubtful))

    def ask(self, operator: Token, project_id: str, digests: Sequence[str]) -> AskedAgain:
        """People look at these items once more; what they answered before stays until then. Raises NotFound."""
        require(operator, Permission.OPERATE, project_id)
        done, left = [], {}
        for digest in dict.fromkeys(digests):
            try:
                self._ask(operator, project_id, digest)
            except Conflict as why:
                left[digest] = str(why)
            else:
                done.append(digest)
        return AskedAgain(done, left)

    def _ask(self, operator: Token, project_id: str, digest: str) -> None:
        with self.store.read() as tx:
            tx.items.get(project_id, digest)
            asked_before = bool(tx.tasks.works_of_item(project_id, digest))
        if asked_before:
            self.ask_again(operator, project_id, digest)
            return
        secret = self.store.secret()
        with self.store.begin() as tx:
            if tx.tasks.works_of_item(project_id, digest):
                raise Conflict("somebody has just asked for it.", hint="Nothing to do.", item=digest)
            project = tx.projects.get(project_id)
            latest, now = tx.predictions.latest_of(project_id, digest), self.clock()
            task = ask_people(
                tx, project, digest, None if latest is None else latest.id, reason="its ground truth is doubted",
                actor=operator.name, now=now, entropy=self.entropy, secret=secret,
            )  # fmt: skip
            body = {"item_digest": digest, "task_id": task.id}
            tx.events.add(Event("truth.doubted", project_id, operator.name, body, now))


class _Learned:
    """What each model version was trained on; read where it is asked for."""

    def __init__(self, blobs: Blobs, models: Mapping[str, ModelVersion]) -> None:
        self._blobs = blobs
        self._models = models
        self._known: dict[str, Snapshot | None] = {}

    def has(self, model_id: str, digest: str) -> bool:
        if model_id not in self._known:
            self._known[model_id] = self._read(model_id)
        snapshot = self._known[model_id]
        return snapshot is not None and snapshot.trains_on(digest)

    def _read(self, model_id: str) -> Snapshot | None:
        """Of a version that was registered from elsewhere nothing is known."""
        model = self._models.get(model_id)
        key = model.notes.get("snapshot") if model else None
        if not isinstance(key, str):
            return None
        try:
            return Snapshot.read(key, self._blobs.get)
        except AskanceError:
            return None


def _with_what_was_said(
    tx: Transaction, project_id: str, pairs: Sequence[tuple[Item, GroundTruth]], learned: _Learned
) -> list[_Compared]:
    said = tx.predictions.said_of(project_id, [item.digest for item, _ in pairs])
    found = []
    for item, truth in pairs:
        for one in said.get(item.digest, ()):
            if one.created_at < truth.created_at or not learned.has(one.model_id, item.digest):
                found.append(_Compared(item, truth, one))
                break
    return found


def _doubtful(compared: Sequence[_Compared], project: Project) -> list[DoubtfulItem]:
    """The most doubtful first; those that nothing is said against are left out."""
    index = {label: number for number, label in enumerate(project.recipe.detected)}
    shapes = [_shapes(one, project, index) for one in compared]
    detections = [_detections(one, project, index) for one in compared]
    scored = score_labels(
        [_found(these, index) for these in detections],
        [_truth(these, index) for these in shapes],
        n_classes=max(len(index), 1),
    )
    doubts: dict[int, list[Doubt]] = {}
    for suspicion in scored.suspicions:
        doubt = _doubt(suspicion, shapes[suspicion.image], detections[suspicion.image])
        doubts.setdefault(suspicion.image, []).append(doubt)
    order = sorted(doubts, key=lambda number: (scored.images[number], compared[number].item.digest))
    return [
        DoubtfulItem(
            item_digest=compared[number].item.digest,
            score=float(scored.images[number]),
            truth_version=compared[number].truth.version,
            split=compared[number].item.split,
            model_id=compared[number].said.model_id,
            prediction_id=compared[number].said.prediction_id,
            doubts=tuple(doubts[number]),
        )
        for number in order
    ]


def _doubt(suspicion: Suspicion, shapes: Sequence[Shape], detections: Sequence[Detection]) -> Doubt:
    return Doubt(
        score=suspicion.score,
        flaw=suspicion.flaw,
        shape=None if suspicion.box is None else shapes[suspicion.box],
        detection=None if suspicion.detection is None else detections[suspicion.detection],
    )


def _shapes(one: _Compared, project: Project, index: Mapping[str, int]) -> list[Shape]:
    kept = project.recipe.translated(one.truth.shapes)
    return [shape for shape in kept if shape.type.is_region and shape.label in index]


def _detections(one: _Compared, project: Project, index: Mapping[str, int]) -> list[Detection]:
    return [detection for detection in project.recipe.proposed(one.said.detections) if detection.label in index]


def _found(detections: Sequence[Detection], index: Mapping[str, int]) -> Found:
    return Found(
        np.array([one.box for one in detections], dtype=np.float64).reshape(-1, 4),
        np.array([one.score for one in detections], dtype=np.float64),
        np.array([index[one.label] for one in detections], dtype=np.int64),
    )


def _truth(shapes: Sequence[Shape], index: Mapping[str, int]) -> Truth:
    return Truth(
        np.array([one.box for one in shapes], dtype=np.float64).reshape(-1, 4),
        np.array([index[one.label] for one in shapes], dtype=np.int64),
    )
