"""Reviewers with known habits, who answer images whose truth is known: what no real group of people offers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from loop.domain.quality.answers import Answer

Floats = NDArray[np.float64]

TRUTH = "truth"
LURES = 3  # places in an image that look like an object; half of what anybody invents is there


@dataclass(frozen=True, slots=True)
class Skill:
    """recall: share of the objects of average difficulty that they mark. shift: standard deviation of an edge, in sides
    of the box. wrong: share of labels that are another one. junk: boxes of nothing, per image."""

    recall: float
    shift: float
    wrong: float
    junk: float


# Five people of a project, from the best to one who should not work on it.
PEOPLE: Mapping[str, Skill] = {
    "careful": Skill(recall=0.96, shift=0.03, wrong=0.02, junk=0.2),
    "good": Skill(recall=0.93, shift=0.05, wrong=0.04, junk=0.4),
    "average": Skill(recall=0.88, shift=0.07, wrong=0.07, junk=0.8),
    "hasty": Skill(recall=0.78, shift=0.11, wrong=0.12, junk=1.2),
    "poor": Skill(recall=0.65, shift=0.14, wrong=0.25, junk=3.0),
}


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """An image as reviewers meet it. hardness: (n,) of each object, the same for all reviewers, 1 on average: what one
    overlooks, others overlook too. lures: (LURES, 4) boxes of what is no object."""

    truth: Answer
    size: tuple[float, float]
    hardness: Floats
    lures: Floats


def scene_of(truth: Answer, size: tuple[float, float], rng: np.random.Generator) -> Scene:
    """size: width and height of the image."""
    return Scene(truth, size, rng.exponential(1.0, len(truth)), _placed(truth, size, LURES, rng))


def answered(scene: Scene, reviewer: str, skill: Skill, *, labels: Sequence[str], rng: np.random.Generator) -> Answer:
    """What somebody of this skill marks."""
    truth = scene.truth
    seen = np.flatnonzero(rng.random(len(truth)) < skill.recall**scene.hardness)
    named = [_named(truth.labels[row], skill.wrong, labels, rng) for row in seen]
    at_lures = scene.lures[rng.random(LURES) < skill.junk / 2.0 / LURES]
    anywhere = _placed(truth, scene.size, rng.poisson(skill.junk / 2.0), rng)
    named += [str(rng.choice(labels)) for _ in range(len(at_lures) + len(anywhere))]
    boxes = _shifted(np.concatenate([truth.boxes[seen], at_lures, anywhere]), skill.shift, rng)
    return Answer(reviewer, tuple(named), boxes)


def _named(label: str, wrong: float, labels: Sequence[str], rng: np.random.Generator) -> str:
    if rng.random() >= wrong:
        return label
    return str(rng.choice([other for other in labels if other != label]))


def _shifted(boxes: Floats, shift: float, rng: np.random.Generator) -> Floats:
    """Each edge by itself; at most so far that the box stays one."""
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], (1, 2))
    return np.asarray(boxes + np.clip(rng.normal(0.0, shift, boxes.shape), -0.45, 0.45) * sides)


def _placed(truth: Answer, size: tuple[float, float], count: int, rng: np.random.Generator) -> Floats:
    """Boxes as large as objects of this image (a tenth of its side, where it has none), anywhere."""
    width, height = size
    if len(truth):
        some = truth.boxes[rng.integers(len(truth), size=count)]
        sides = some[:, 2:] - some[:, :2]
    else:
        sides = np.full((count, 2), 0.1 * min(size))
    corner = rng.random((count, 2)) * np.maximum(np.array([width, height]) - sides, 0.0)
    return np.concatenate([corner, corner + sides], axis=1)
