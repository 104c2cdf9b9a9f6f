"""One learning curve: label, train, measure, choose the next, as the service would."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.learning.learner import Head, Seen, Truths, seen, truths
from benchmarks.learning.pools import LabelledPool, Picture
from loop.domain.prediction import MOST_OBJECTS, Inference, margins
from loop.domain.selection import Part
from selection.anomaly import AnomalyScorer
from selection.choosing import choose, mixed
from selection.pool import Objects, Pool
from selection.risk import heuristic_risk
from selection.scores import rarity_weights, signals
from selection.strategies.table import looks_at
from training.evaluate import Evaluation, Found, Truth, evaluate

_THRESHOLD = 0.25
_NEIGHBOURS = 10
WEIGH_CLASSES = frozenset({"ppal", "balanced-herding"})  # by how well the model does on each


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
    pictures = task.pool.tests[test]
    return _evaluated(head.predict(task.tested[test], np.arange(len(pictures))), pictures, task.pool.labels).map50


def _class_quality(task: Task, head: Head, labelled: NDArray[np.intp]) -> NDArray[np.float64]:
    """(C,) on what it has learned from, as PPAL has it from training; the service knows it from an evaluation."""
    found = head.predict(task.what, labelled)
    return _evaluated(found, [task.pool.pool[row] for row in labelled], task.pool.labels).class_quality


def _evaluated(found: Sequence[Inference], pictures: Sequence[Picture], labels: tuple[str, ...]) -> Evaluation:
    return evaluate(
        [Found(one.boxes, one.scores, one.classes) for one in found],
        [_truth(picture, labels) for picture in pictures],
        n_classes=len(labels),
    )


def _chosen(
    task: Task, head: Head, labelled: NDArray[np.intp], strategy: str, budget: int, seed: int
) -> NDArray[np.intp]:
    """As the service does: with the share that is always drawn at random."""
    free = np.setdiff1d(np.arange(len(task.pool.pool)), labelled)
    if strategy == "random":
        return np.random.default_rng(seed).choice(free, size=budget, replace=False)
    unlabelled = _pool(task, head, labelled, free, objects=Part.OBJECTS in looks_at(strategy))
    if strategy in WEIGH_CLASSES:
        unlabelled = replace(unlabelled, class_quality=_class_quality(task, head, labelled))
    picks = choose(unlabelled, mixed({strategy: 1.0}), budget, seed=seed)
    return free[[one.pick.row for one in picks]]


def _pool(task: Task, head: Head, labelled: NDArray[np.intp], free: NDArray[np.intp], *, objects: bool) -> Pool:
    found = head.predict(task.what, free, objects=objects)
    embeddings = task.what.embeddings
    scorer = AnomalyScorer.fit(embeddings[labelled], k=_NEIGHBOURS)
    rarity = _rarity(task, labelled)
    said = [
        signals(
            one,
            threshold=_THRESHOLD,
            width=task.what.placements[row].width,
            height=task.what.placements[row].height,
            anomaly_p=scorer.p_value(embeddings[row]),
            rarity=rarity,
        )
        for one, row in zip(found, free, strict=True)
    ]
    rows = [one.as_dict() for one in said]
    return Pool(
        keys=[f"{row:064d}" for row in free],
        embeddings=embeddings[free],
        risk=np.array([heuristic_risk(one) for one in said]),
        signals={name: np.array([row[name] for row in rows]) for name in rows[0]},
        objects=_objects(found, features=objects),
        labels=task.pool.labels,
        labelled=embeddings[labelled],
    )


def _rarity(task: Task, labelled: NDArray[np.intp]) -> NDArray[np.float64]:
    named = [shape.label for row in labelled for shape in task.pool.pool[row].shapes]
    return rarity_weights(np.array([named.count(label) for label in task.pool.labels]))


def _objects(found: Sequence[Inference], *, features: bool) -> Objects:
    # The most certain come first.
    counts = [min(int((one.scores >= _THRESHOLD).sum()), MOST_OBJECTS) for one in found]
    with_counts = list(zip(found, counts, strict=True))
    return Objects(
        rows=np.repeat(np.arange(len(found)), counts).astype(np.int64),
        classes=np.concatenate([one.classes[:count] for one, count in with_counts]).astype(np.int64),
        scores=np.concatenate([one.scores[:count] for one, count in with_counts]).astype(np.float64),
        margins=np.concatenate([margins(one.class_scores[:count]) for one, count in with_counts]),
        features=np.concatenate([one.objects[:count] for one, count in with_counts if one.objects is not None])
        if features
        else None,
    )


def _truth(picture: Picture, labels: tuple[str, ...]) -> Truth:
    boxes = np.array([shape.box for shape in picture.shapes], dtype=np.float64).reshape(-1, 4)
    return Truth(boxes, np.array([labels.index(shape.label) for shape in picture.shapes], dtype=np.int64))
