"""Two detectors that really differ, and what they really found on real images: pairs for a gate to judge.

Heads on one frozen body (benchmarks/learning/learner.py) are trained for different times, from different starts. What
is known is by how many points they differ on all of the images.
"""

import hashlib
import itertools
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.learning.learner import Head, Seen, Truths, seen, truths
from benchmarks.learning.pools import POOLS, LabelledPool, Picture
from benchmarks.service.model import CACHE
from benchmarks.simulated_detectors import Pool
from training.evaluate import Evaluation, Found, Truth, evaluate

_STEPS = (60, 80, 100, 130, 160, 200, 250, 300)  # one head each
_FLOOR = 0.05  # of scores: what lies below moves mAP50-95 by some tenths of a point, and is most of all detections
_CLASS_MARGIN = 0.05  # the gate's: a candidate that is worse by more in one class shall not be promoted


def rivals(name: str, points: float) -> tuple[Pool, tuple[str, ...]]:
    """A head, and one that is worse by `points` of mAP50-95 (a fraction), both on all test images of the pool `name`,
    and its labels. In no class is the first worse by more than the gate's margin allows.

    Of two heads that differ by a little more the better takes over the other's answers on some images, drawn at random,
    until what is left is `points`. Raises ValueError where no two heads differ so.
    """
    labels, heads = _heads(name)
    return _apart(*_chosen(heads, points), points), labels


def _chosen(heads: Sequence[Evaluation], points: float) -> tuple[Evaluation, Evaluation]:
    """Of all that differ by `points` or more the two that differ least, the better first."""
    fitting = [
        (better, worse)
        for better, worse in itertools.permutations(heads, 2)
        if better.map50_95 - worse.map50_95 >= points and np.nanmin(better.class_ap - worse.class_ap) >= -_CLASS_MARGIN
    ]
    if not fitting:
        raise ValueError(f"no two of {len(heads)} heads are {100 * points:g} points of mAP50-95 apart")
    return min(fitting, key=lambda pair: pair[0].map50_95 - pair[1].map50_95)


def _apart(better: Evaluation, worse: Evaluation, points: float) -> Pool:
    """On how many of the images, in a random order, the better answers as the other does: tried one by one."""
    images = better.n_images
    both, order = better.followed_by(worse), np.random.default_rng(0).permutation(images)
    mixtures = (both.take(_answers(order[:taken_over], images)) for taken_over in range(images))
    nearest = min(mixtures, key=lambda mixed: abs(mixed.map50_95 - worse.map50_95 - points))
    return Pool(nearest.followed_by(worse), images)


def _answers(taken_over: NDArray[np.intp], images: int) -> NDArray[np.intp]:
    """Rows of both models' answers, one behind the other: the first's but for those taken over."""
    rows = np.arange(images)
    rows[taken_over] += images
    return rows


def _heads(name: str) -> tuple[tuple[str, ...], list[Evaluation]]:
    """From the cache where all were trained before."""
    folder = CACHE / "rivals" / f"{name}-{_identity()}"
    if not (folder / "labels.json").is_file():
        import torch

        torch.set_num_threads(1)
        pool = _halved(POOLS[name]())
        what, truth, tested = _looked_at(pool)
        folder.mkdir(parents=True, exist_ok=True)
        for number, steps in enumerate(_STEPS):
            head = Head(len(pool.labels), number).fit(
                what, truth, np.arange(len(pool.pool)), steps=steps, seed=number
            )  # fmt: skip
            _write(folder / f"{number}.npz", _judged(head, tested, pool).to_bytes())
        _write(folder / "labels.json", json.dumps(pool.labels).encode())
    kept = [Evaluation.read((folder / f"{number}.npz").read_bytes()) for number in range(len(_STEPS))]
    return tuple(json.loads((folder / "labels.json").read_text())), kept


def _write(path: Path, content: bytes) -> None:
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_bytes(content)
    partial.replace(path)


def _identity() -> str:
    """Of all that decides what heads find."""
    files = [Path(__file__), *(Path(__file__).with_name(f"{name}.py") for name in ("learner", "pools"))]
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:16]


def _halved(pool: LabelledPool) -> LabelledPool:
    """Where there are few test images, half of the pool is tested on in place of being learned from."""
    if sum(len(pictures) for pictures in pool.tests.values()) >= 200:
        return pool
    half = len(pool.pool) // 2
    order = np.random.default_rng(3).permutation(len(pool.pool))
    learned, more = ([pool.pool[at] for at in sorted(part.tolist())] for part in (order[:half], order[half:]))
    return LabelledPool(
        name=pool.name, labels=pool.labels, pool=learned, tests={**pool.tests, "more": more},
        budgets=pool.budgets, mirrored=pool.mirrored,
    )  # fmt: skip


def _looked_at(pool: LabelledPool) -> tuple[Seen, Truths, list[tuple[Seen, Sequence[Picture]]]]:
    what = seen(pool.pool, mirrored=pool.mirrored, cache=CACHE / "features")
    tested = [(seen(some, mirrored=False, cache=CACHE / "features"), some) for some in pool.tests.values()]
    return what, truths(pool.pool, what.placements, pool.labels), tested


def _judged(head: Head, tested: Sequence[tuple[Seen, Sequence[Picture]]], pool: LabelledPool) -> Evaluation:
    found, truth = [], []
    for what, pictures in tested:
        for one in head.predict(what, np.arange(len(pictures))):
            kept = one.scores >= _FLOOR
            found.append(Found(one.boxes[kept], one.scores[kept], one.classes[kept]))
        truth += [_truth(picture, pool.labels) for picture in pictures]
    return evaluate(found, truth, n_classes=len(pool.labels))


def _truth(picture: Picture, labels: tuple[str, ...]) -> Truth:
    boxes = np.array([shape.box for shape in picture.shapes], dtype=np.float64).reshape(-1, 4)
    return Truth(boxes, np.array([labels.index(shape.label) for shape in picture.shapes], dtype=np.int64))
