"""One learning curve: label, train, measure, choose the next, as the service would."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.learning.learner import Head, Seen, Truths, object_features, seen, truths
from benchmarks.learning.pools import LabelledPool, Picture
from loop.domain.prediction import Inference
from selection.anomaly import AnomalyScorer
from selection.choosing import choose, mixed
from selection.pool import Objects, Pool
from selection.risk import heuristic_risk
from selection.scores import signals
from training.evaluate import Found, Truth, evaluate

_THRESHOLD = 0.25
_NEIGHBOURS = 10
_MOST_OBJECTS = 50


@dataclass(frozen=True, slots=True)
class Point:
    """What was reached with so many labels. boxes: that people had to draw for them."""

    images: int
    boxes: int
    map50: Mapping[str, float]  # by test


@dataclass(frozen=True, slots=True)
class Task:
    """A pool that was looked at: all that a curve needs of it."""

    pool: LabelledPool
    what: Seen
    truth: Truths
    tested: Mapping[str, Seen]
    steps: int

    @classmethod
    def of(cls, pool: LabelledPool, *, steps: int, cache: Path) -> "Task":
        what = seen(pool.pool, mirrored=pool.mirrored, cache=cache)
        tested = {name: seen(pictures, mirrored=False, cache=cache) for name, pictures in pool.tests.items()}
        return cls(pool, what, truths(pool.pool, what.placements, pool.labels), tested, steps)


def curve(task: Task, strategy: str, seed: int) -> list[Point]:
    """At each budget of the pool. The first labels are drawn by the seed alone, the same for every strategy; the rest
    are chosen by what the model of the round before says of the pool."""
    pool = task.pool
    start = np.random.default_rng([seed, 17]).permutation(len(pool.pool))[: pool.budgets[0]]
    labelled = np.sort(start)
    points = []
    for number, budget in enumerate(pool.budgets):
        head = trained(task, labelled, seed)
        points.append(measured(task, head, labelled))
        following = pool.budgets[number + 1 : number + 2]
        if following:
            chosen = _chosen(task, head, labelled, strategy, following[0] - budget, seed * 1000 + number)
            labelled = np.sort(np.concatenate([labelled, chosen]))
    return points


def trained(task: Task, labelled: NDArray[np.intp], seed: int) -> Head:
    return Head(len(task.pool.labels), seed).fit(task.what, task.truth, labelled, steps=task.steps, seed=seed)


def measured(task: Task, head: Head, labelled: NDArray[np.intp]) -> Point:
    boxes = sum(len(task.pool.pool[row].shapes) for row in labelled)
    return Point(len(labelled), boxes, {name: _map50(task, head, name) for name in task.tested})


def _map50(task: Task, head: Head, test: str) -> float:
    pictures, labels = task.pool.tests[test], task.pool.labels
    found = head.predict(task.tested[test], np.arange(len(pictures)))
    result = evaluate(
        [Found(one.boxes, one.scores, one.classes) for one in found],
        [_truth(picture, labels) for picture in pictures],
        n_classes=len(labels),
    )
    return result.map50


def _chosen(
    task: Task, head: Head, labelled: NDArray[np.intp], strategy: str, budget: int, seed: int
) -> NDArray[np.intp]:
    """As the service does: with the share that is always drawn at random."""
    free = np.setdiff1d(np.arange(len(task.pool.pool)), labelled)
    if strategy == "random":
        return np.random.default_rng(seed).choice(free, size=budget, replace=False)
    unlabelled = _pool(task, head, labelled, free, objects=strategy == "ppal")
    picks = choose(unlabelled, mixed({strategy: 1.0}), budget, seed=seed)
    return free[[one.pick.row for one in picks]]


def _pool(task: Task, head: Head, labelled: NDArray[np.intp], free: NDArray[np.intp], *, objects: bool) -> Pool:
    found = head.predict(task.what, free)
    embeddings = task.what.embeddings
    scorer = AnomalyScorer.fit(embeddings[labelled], k=_NEIGHBOURS)
    said = [
        signals(
            one,
            threshold=_THRESHOLD,
            width=task.what.placements[row].width,
            height=task.what.placements[row].height,
            anomaly_p=scorer.p_value(embeddings[row]),
        )
        for one, row in zip(found, free, strict=True)
    ]
    columns: Mapping[str, NDArray[np.float64]] = {
        name: np.array([asdict(one)[name] for one in said]) for name in asdict(said[0])
    }
    return Pool(
        keys=[f"{row:064d}" for row in free],
        embeddings=embeddings[free],
        risk=np.array([heuristic_risk(one) for one in said]),
        signals=columns,
        objects=_objects(task.what, free, found, features=objects),
        labels=task.pool.labels,
        labelled=embeddings[labelled],
    )


def _objects(what: Seen, rows: NDArray[np.intp], found: Sequence[Inference], *, features: bool) -> Objects:
    kept = [np.flatnonzero(one.scores >= _THRESHOLD)[:_MOST_OBJECTS] for one in found]
    triples = list(zip(rows, found, kept, strict=True)) if features else []
    parts = [object_features(what, row, one.boxes[k]) for row, one, k in triples]
    return Objects(
        rows=np.repeat(np.arange(len(rows)), [len(k) for k in kept]).astype(np.int64),
        classes=np.concatenate([one.classes[k] for one, k in zip(found, kept, strict=True)]).astype(np.int64),
        scores=np.concatenate([one.scores[k] for one, k in zip(found, kept, strict=True)]).astype(np.float64),
        features=np.concatenate(parts) if features else None,
    )


def _truth(picture: Picture, labels: tuple[str, ...]) -> Truth:
    boxes = np.array([shape.box for shape in picture.shapes], dtype=np.float64).reshape(-1, 4)
    return Truth(boxes, np.array([labels.index(shape.label) for shape in picture.shapes], dtype=np.int64))
