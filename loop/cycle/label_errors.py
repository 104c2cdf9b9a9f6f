"""Ground truth that is probably wrong: found by what models said that had not learned from it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loop.domain.access import Permission, Token, require
from loop.domain.errors import AskanceError
from loop.domain.item import Item, Split
from loop.domain.model import ModelVersion
from loop.domain.ports import Blobs, Said, Store, Transaction
from loop.domain.prediction import Detection
from loop.domain.project import Project
from loop.domain.truth import GroundTruth, Shape
from training.evaluate import Found, Truth
from training.label_errors import Agreement, Flaw, Suspicion, Trust, score_image
from training.snapshot import Snapshot

_PART = 500  # items that are held at once


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
    """total: items with truth. compared: those whose truth was compared; unseen: those that no model has predicted
    without having learned their truth; the others were not looked at, since fewer were asked for."""

    total: int
    compared: int
    unseen: int
    items: tuple[DoubtfulItem, ...]

    @property
    def more(self) -> bool:
        return self.compared + self.unseen < self.total


@dataclass(frozen=True, slots=True)
class _Compared:
    item: Item
    truth: GroundTruth
    said: Said


@dataclass(frozen=True, slots=True)
class _Part:
    """items: with truth, so many; compared: those of them of which a model has said something."""

    items: int
    compared: Sequence[_Compared]


@dataclass(frozen=True, slots=True)
class LabelErrors:
    store: Store
    blobs: Blobs

    def report(self, operator: Token, project_id: str, *, limit: int, most: int | None = None) -> LabelReport:
        """The `limit` most doubtful items. Each item is compared with the newest prediction by a model that was not
        trained on it, or made before its truth was known. most: items that are looked at, those with the smallest
        digests, which is as good as drawn; None: all. They are read twice, a few at a time: a detection is believed by
        how others fared. Raises NotFound, Forbidden."""
        require(operator, Permission.OPERATE, project_id)
        return self.found(project_id, limit=limit, most=most)

    def found(
        self, project_id: str, *, limit: int, most: int | None = None, wanted: Callable[[str], bool] = lambda _: True
    ) -> LabelReport:
        """The same for whoever may. wanted: which items may be told, by digest; the others count only in how far a
        detection is believed."""
        with self.store.read() as tx:
            project = tx.projects.get(project_id)
            learned = _Learned(self.blobs, {model.id: model for model in tx.models.all(project_id)})
            digests = _with_truth(tx, project_id)
        looked_at = digests[:most]
        labels = _Labels(project)
        agreement, compared, seen = Agreement(max(len(labels.index), 1)), 0, 0
        for part in self._parts(project_id, looked_at, learned):
            for one in part.compared:
                agreement.add(*labels.arrays(one))
            compared, seen = compared + len(part.compared), seen + part.items
        trust = agreement.trust()
        worst: list[DoubtfulItem] = []
        for part in self._parts(project_id, looked_at, learned):
            doubtful = (_doubtful(one, labels, trust) for one in part.compared if wanted(one.item.digest))
            found = [one for one in doubtful if one is not None]
            worst = sorted([*worst, *found], key=lambda one: (one.score, one.item_digest))[:limit]
        total = len(digests) - (len(looked_at) - seen)  # what was dropped meanwhile is not there
        return LabelReport(total=total, compared=compared, unseen=seen - compared, items=tuple(worst))

    def _parts(self, project_id: str, digests: NDArray[np.bytes_], learned: "_Learned") -> Iterator["_Part"]:
        """Each in a transaction of its own: to hold one for minutes would keep the database from tidying up."""
        for begin in range(0, len(digests), _PART):
            # NumPy takes zeros at the end of bytes for padding.
            some = [digest.ljust(32, b"\0").hex() for digest in digests[begin : begin + _PART].tolist()]
            with self.store.read() as tx:
                items, truths = tx.items.of(project_id, some), tx.truths.current_of(project_id, some)
                pairs = [(items[one], truths[one]) for one in some if one in items and one in truths]
                yield _Part(len(pairs), _with_what_was_said(tx, project_id, pairs, learned))


class _Learned:
    """What each model version was trained on, by digests alone; read where it is asked for."""

    def __init__(self, blobs: Blobs, models: Mapping[str, ModelVersion]) -> None:
        self._blobs = blobs
        self._models = models
        self._known: dict[str, NDArray[np.bytes_]] = {}

    def has(self, model_id: str, digest: str) -> bool:
        if model_id not in self._known:
            self._known[model_id] = self._read(model_id)
        known, sought = self._known[model_id], np.array(bytes.fromhex(digest), dtype="S32")
        row = int(np.searchsorted(known, sought))
        return row < len(known) and bool(known[row] == sought)

    def _read(self, model_id: str) -> NDArray[np.bytes_]:
        """Of a version that was registered from elsewhere nothing is known."""
        model = self._models.get(model_id)
        key = model.notes.get("snapshot") if model else None
        if isinstance(key, str):
            try:
                return Snapshot.read(key, self._blobs.get).trained()
            except AskanceError:
                pass
        return np.empty(0, dtype="S32")


def _with_truth(tx: Transaction, project_id: str) -> NDArray[np.bytes_]:
    """Digests of 32 bytes, ascending: all that is held of every item."""
    dropped = tx.items.dropped(project_id)
    having = (bytes.fromhex(digest) for digest in tx.truths.items(project_id) if digest not in dropped)
    return np.sort(np.fromiter(having, dtype="S32"))


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


class _Labels:
    """The project's labels that are detected, by which truth and detections are told."""

    def __init__(self, project: Project) -> None:
        self._recipe = project.recipe
        self.index = {label: number for number, label in enumerate(project.recipe.detected)}

    def shapes(self, one: _Compared) -> list[Shape]:
        kept = self._recipe.translated(one.truth.shapes)
        return [shape for shape in kept if shape.type.is_region and shape.label in self.index]

    def detections(self, one: _Compared) -> list[Detection]:
        return [found for found in self._recipe.proposed(one.said.detections) if found.label in self.index]

    def arrays(self, one: _Compared) -> tuple[Found, Truth]:
        return _found(self.detections(one), self.index), _truth(self.shapes(one), self.index)


def _doubtful(one: _Compared, labels: _Labels, trust: Trust) -> DoubtfulItem | None:
    """None where nothing is said against it."""
    shapes, detections = labels.shapes(one), labels.detections(one)
    score, suspicions = score_image(_found(detections, labels.index), _truth(shapes, labels.index), trust)
    if not suspicions:
        return None
    return DoubtfulItem(
        item_digest=one.item.digest,
        score=score,
        truth_version=one.truth.version,
        split=one.item.split,
        model_id=one.said.model_id,
        prediction_id=one.said.prediction_id,
        doubts=tuple(_doubt(suspicion, shapes, detections) for suspicion in suspicions),
    )


def _doubt(suspicion: Suspicion, shapes: Sequence[Shape], detections: Sequence[Detection]) -> Doubt:
    return Doubt(
        score=suspicion.score,
        flaw=suspicion.flaw,
        shape=None if suspicion.box is None else shapes[suspicion.box],
        detection=None if suspicion.detection is None else detections[suspicion.detection],
    )


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
