"""What the loop's choices and its doubts about labels are worth on pools of real images, with the small learner."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from benchmarks.learning.curves import Task, curve, measured, trained
from benchmarks.learning.learner import Head, truths
from benchmarks.learning.pools import POOLS, Picture
from benchmarks.learning.spoiling import Finding, Spoiled, finding, spoiled
from benchmarks.service.model import CACHE
from loop.domain.truth import Shape
from loop.settings import load_settings
from training.evaluate import Found, Truth
from training.label_errors import score_labels

TENTHS = (1, 2, 3, 4)  # of the pool that are labelled: at first, and after each of three cycles
WRONG = 0.05  # of the boxes
LOOKED_AT = 0.10  # of the boxes, by people whom the doubts lead
_FOLDS = 3


@cache
def task_of(pool: str, steps: int) -> Task:
    """With a budget for each of TENTHS."""
    import torch

    torch.set_num_threads(1)
    task = Task.of(POOLS[pool](), steps=steps, cache=CACHE / "features")
    count = len(task.pool.pool)
    return replace(task, pool=replace(task.pool, budgets=tuple(round(count * tenth / 10) for tenth in TENTHS)))


def look_at(pool: str, steps: int) -> None:
    """Its features into the cache."""
    task_of(pool, steps)


def cycles(pool: str, steps: int, strategy: str | None, seed: int) -> list[Mapping[str, float]]:
    """mAP50 by test at each of TENTHS, what is labelled next chosen by `strategy`; None: at all labels, once."""
    task = task_of(pool, steps)
    if strategy is None:
        everything = np.arange(len(task.pool.pool))
        return [measured(task, trained(task, everything, seed), everything).map50]
    return [point.map50 for point in curve(task, strategy, seed)]


@dataclass(frozen=True, slots=True)
class Mended:
    """What finding label errors is worth. fixed: share of the errors that people saw who looked at LOOKED_AT of the
    boxes. spoiled, mended, clean: mAP50 on the pool's first test of a learner of labels with the errors, without those
    that were fixed, and without any."""

    finding: Finding
    fixed: float
    spoiled: float
    mended: float
    clean: float


def mending(pool: str, steps: int, seed: int) -> Mended:
    """WRONG of the pool's boxes are made wrong; each image is then compared with what a learner says of it that learned
    from the other folds, errors included, as the service compares with models that had not learned an item."""
    task = task_of(pool, steps)
    labels, pictures = task.pool.labels, task.pool.pool
    right = [_truth(picture, labels) for picture in pictures]
    sizes = [(picture.pixels.shape[1], picture.pixels.shape[0]) for picture in pictures]
    rng = np.random.default_rng([seed, 23])
    what = spoiled(right, sizes, WRONG, n_classes=len(labels), rng=rng)
    wrong_task = _with(task, what.truth)
    found = _unlearned(wrong_task, seed, rng)
    scores = score_labels(found, what.truth, n_classes=len(labels), limit=1.0)
    seen = _looked_at(scores.images, what)
    mended = [right[at] if seen[at] else one for at, one in enumerate(what.truth)]
    fixed = sum(int(what.wrong[at].sum()) + len(what.dropped[at]) for at in np.flatnonzero(seen))
    return Mended(
        finding(scores, what, found),
        fixed / max(1, what.errors),
        *(_map50(one, seed) for one in (wrong_task, _with(task, mended), task)),
    )


def _unlearned(task: Task, seed: int, rng: np.random.Generator) -> list[Found]:
    """What is said of each image by a learner of the other folds, as far as the service keeps it."""
    fold = rng.permutation(len(task.pool.pool)) % _FOLDS
    floor = load_settings(environ={}).serving.score_floor
    found: dict[int, Found] = {}
    for number in range(_FOLDS):
        held_out = np.flatnonzero(fold == number)
        head: Head = trained(task, np.flatnonzero(fold != number), seed * _FOLDS + number)
        for row, one in zip(held_out, head.predict(task.what, held_out), strict=True):
            kept = one.scores >= floor
            found[int(row)] = Found(one.boxes[kept], one.scores[kept], one.classes[kept])
    return [found[row] for row in range(len(fold))]


def _looked_at(scores: NDArray[np.float64], what: Spoiled) -> NDArray[np.bool_]:
    """The most doubtful images, as many as LOOKED_AT of the boxes are on."""
    order = np.argsort(scores, kind="stable")
    boxes = np.array([len(one.classes) for one in what.truth])
    within = np.cumsum(boxes[order]) <= LOOKED_AT * boxes.sum()
    seen = np.zeros(len(scores), dtype=bool)
    seen[order[within]] = True
    return seen


def _map50(task: Task, seed: int) -> float:
    everything = np.arange(len(task.pool.pool))
    return next(iter(measured(task, trained(task, everything, seed), everything).map50.values()))


def _with(task: Task, truth: list[Truth]) -> Task:
    """Learning from this truth; what it is tested on stays as it is."""
    labels = task.pool.labels
    pictures = [
        replace(picture, shapes=_shapes(one, labels)) for picture, one in zip(task.pool.pool, truth, strict=True)
    ]
    return replace(task, truth=truths(pictures, task.what.placements, labels))


def _shapes(truth: Truth, labels: tuple[str, ...]) -> tuple[Shape, ...]:
    return tuple(
        Shape(labels[int(number)], (float(x1), float(y1), float(x2), float(y2)))
        for (x1, y1, x2, y2), number in zip(truth.boxes, truth.classes, strict=True)
    )


def _truth(picture: Picture, labels: tuple[str, ...]) -> Truth:
    boxes = np.array([shape.box for shape in picture.shapes], dtype=np.float64).reshape(-1, 4)
    return Truth(boxes, np.array([labels.index(shape.label) for shape in picture.shapes], dtype=np.int64))
