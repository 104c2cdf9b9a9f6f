"""Detectors with known quality on made scenes: what a test of the promotion gate needs and no real model offers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.evaluate import Evaluation, Found, Truth, evaluate

SIDE = 400.0


@dataclass(frozen=True, slots=True)
class Skill:
    """recall: share of objects found on an image of average difficulty; shift: how far a corner is off, in
    sides of the box; junk: invented boxes per image."""

    recall: float = 0.85
    shift: float = 0.06
    junk: float = 3.0


def scenes(rng: np.random.Generator, images: int, *, n_classes: int, objects: float) -> list[Truth]:
    """Images with `objects` boxes on average, of unequally frequent classes; some have none."""
    frequency = rng.dirichlet(np.full(n_classes, 3.0))
    counts = rng.poisson(objects, images)
    return [Truth(_boxes(rng, count), rng.choice(n_classes, count, p=frequency)) for count in counts]


def difficulties(rng: np.random.Generator, images: int) -> NDArray[np.float64]:
    """(n,) in (0, 1], shared by all detectors: what is hard for one is hard for the other."""
    return rng.beta(8.0, 2.0, images)


def detect(
    rng: np.random.Generator, truths: list[Truth], ease: NDArray[np.float64], skill: Skill, *, n_classes: int
) -> list[Found]:
    """What a detector of this skill says of each image."""
    return [_found(rng, truth, float(e), skill, n_classes) for truth, e in zip(truths, ease, strict=True)]


@dataclass(frozen=True, slots=True)
class Pool:
    """Two detectors on the same images: those of the first at 0 … images − 1, of the second behind them."""

    both: Evaluation
    images: int

    def pair(self, chosen: NDArray[np.integer], swapped: NDArray[np.integer]) -> tuple[Evaluation, Evaluation]:
        """First and second detector on the images `chosen`; where `swapped` is 1 they change places, so that
        with fair coins neither is better."""
        return self.both.take(chosen + self.images * swapped), self.both.take(chosen + self.images * (1 - swapped))

    @property
    def difference(self) -> float:
        """mAP50-95 of the second minus the first, on all images."""
        everything = np.arange(self.images)
        first, second = self.pair(everything, np.zeros_like(everything))
        return second.map50_95 - first.map50_95


def pool(rng: np.random.Generator, first: Skill, second: Skill, *, images: int, n_classes: int, objects: float) -> Pool:
    truths = scenes(rng, images, n_classes=n_classes, objects=objects)
    ease = difficulties(rng, images)
    found = [detect(rng, truths, ease, skill, n_classes=n_classes) for skill in (first, second)]
    return Pool(evaluate([*found[0], *found[1]], truths * 2, n_classes=n_classes), images)


def _found(rng: np.random.Generator, truth: Truth, ease: float, skill: Skill, n_classes: int) -> Found:
    kept = rng.random(len(truth.classes)) < min(1.0, skill.recall * ease * 1.2)
    near = truth.boxes[kept]
    sides = np.tile(near[:, 2:] - near[:, :2], 2)
    near = near + rng.uniform(-1.7, 1.7, near.shape) * sides * min(skill.shift / ease, 0.25)
    count = rng.poisson(skill.junk)
    return Found(
        np.vstack([near, _boxes(rng, count)]),
        np.concatenate([rng.beta(4, 2, len(near)), rng.beta(2, 4, count)]),
        np.concatenate([truth.classes[kept], rng.integers(0, n_classes, count)]),
    )


def _boxes(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    corner = rng.uniform(0, SIDE, (count, 2))
    return np.hstack([corner, corner + rng.uniform(20, 100, (count, 2))])
