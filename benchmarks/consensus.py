"""What several people's answers are worth together: merged, against the best of them and a plain vote.

    python -m benchmarks.consensus            all pictures of BCCD, three seeds: some minutes
    QUICK=1 python -m benchmarks.consensus    eighty of them, one seed

The truth is the data set's, the people are simulated (benchmarks/simulated_reviewers.py). GOLDEN of the pictures are
their golden items, from which their reliability comes; the rest are judged. A plain vote keeps what more than half of
those who looked marked, under the most frequent label, and takes the mean of the boxes.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.fod import solid
from benchmarks.report import QUICK, Figure, at_least, publish, reading, seconds_of
from benchmarks.simulated_reviewers import PEOPLE, TRUTH, Scene, answered, scene_of
from loop.domain.policy.quality_rules import ConsensusRules
from loop.domain.quality.agreement import batch_agreement
from loop.domain.quality.answers import Answer, clusters_of, matched
from loop.domain.quality.consensus import Candidate, Consensus, Reliability, Verdict, consensus_of
from loop.domain.quality.reviewer_quality import GoldenScore, golden_score, reliability_of
from loop.domain.truth import Shape, checked_shapes
from loop.exchange.reading import ReadImage
from loop.exchange.voc import read_voc
from tests.requirements import DATA

GOLDEN = 20
PICTURES = 80 if QUICK else None
SEEDS = 1 if QUICK else 3
IOUS = (0.5, 0.75)
PANELS: Mapping[str, tuple[str, ...]] = {
    "five people": tuple(PEOPLE),
    "careful, average, hasty": ("careful", "average", "hasty"),
    "good, average, poor": ("good", "average", "poor"),
}
RULES = ConsensusRules()


@dataclass(frozen=True, slots=True)
class Outcome:
    """F1 over all shapes at an IoU, labels counting, and the mean IoU of what is matched at 0.5."""

    f1: Mapping[float, float]
    iou: float


@dataclass(frozen=True, slots=True)
class Run:
    """One panel on all judged pictures. agreement: of the panel, Krippendorff's alpha of boxes and of labels.
    decided: the share of pictures that need nobody else; alone: what those are worth. unsure: the share of what anybody
    marked that a person should look at for being unsure; caught: of what is merged wrongly, the share that is among it.
    """

    single: Mapping[str, Outcome]
    plain: Outcome
    merged: Outcome
    agreement: tuple[float, float]
    decided: float
    alone: Outcome | None
    unsure: float
    caught: float
    seconds: float
    pictures: int


def blood_cells(pictures: int | None) -> tuple[tuple[str, ...], list[tuple[Answer, tuple[float, float]]]]:
    """BCCD's labels; and of each picture the truth, and its size."""
    read = read_voc(DATA / "bccd")
    return read.labels, [_truth(image, read.labels) for image in read.images[:pictures]]


def judged(
    panel: Sequence[str], labels: Sequence[str], truths: Sequence[tuple[Answer, tuple[float, float]]], seed: int
) -> Run:
    rng = np.random.default_rng([seed, len(panel)])
    scenes = [scene_of(truth, size, rng) for truth, size in (truths[at] for at in rng.permutation(len(truths)))]
    answers = [[answered(scene, name, PEOPLE[name], labels=labels, rng=rng) for name in panel] for scene in scenes]
    reliabilities = _from_golden(panel, labels, scenes[:GOLDEN], answers[:GOLDEN])
    rest, given = [scene.truth for scene in scenes[GOLDEN:]], answers[GOLDEN:]
    found: list[Consensus] = []

    def merge() -> None:
        found.extend(consensus_of(given, labels=labels, reliabilities=reliabilities, rules=RULES))

    seconds = seconds_of(merge)
    unsure, wrong = _unsure_and_wrong(found, rest)
    alpha = batch_agreement([clusters_of(item) for item in given])
    return Run(
        single={name: outcome([item[at] for item in given], rest, labels) for at, name in enumerate(panel)},
        plain=outcome([plain_vote(item) for item in given], rest, labels),
        merged=outcome([_as_answer(one.merged) for one in found], rest, labels),
        agreement=(alpha.boxes or 0.0, alpha.labels or 0.0),
        decided=float(np.mean([one.verdict is Verdict.MERGED for one in found])),
        alone=_alone(found, rest, labels),
        unsure=float(unsure.mean()),
        caught=float(unsure[wrong].mean()),
        seconds=seconds,
        pictures=len(found),
    )


def _alone(found: Sequence[Consensus], truths: Sequence[Answer], labels: Sequence[str]) -> Outcome | None:
    """Of what is merged without anybody else."""
    merged = [(one, truth) for one, truth in zip(found, truths, strict=True) if one.verdict is Verdict.MERGED]
    if not merged:
        return None
    return outcome([_as_answer(one.merged) for one, _ in merged], [truth for _, truth in merged], labels)


def plain_vote(answers: Sequence[Answer]) -> Answer:
    kept = [one for one in clusters_of(answers) if len(one.reviewers) > len(answers) / 2]
    named = tuple(min(Counter(one.labels).items(), key=lambda item: (-item[1], item[0]))[0] for one in kept)
    return Answer("vote", named, np.array([one.boxes.mean(axis=0) for one in kept]).reshape(-1, 4))


def outcome(answers: Sequence[Answer], truths: Sequence[Answer], labels: Sequence[str]) -> Outcome:
    scored = {iou: [_score(a, t, labels, iou) for a, t in zip(answers, truths, strict=True)] for iou in IOUS}
    ious = np.concatenate([score.ious for score in scored[0.5]])
    return Outcome({iou: _f1(scores) for iou, scores in scored.items()}, float(ious.mean()))


def _score(answer: Answer, truth: Answer, labels: Sequence[str], iou: float) -> GoldenScore:
    return golden_score(answer, truth, labels=labels, iou=iou)


def _f1(scores: Sequence[GoldenScore]) -> float:
    table = np.sum([score.table for score in scores], axis=0)
    return float(2.0 * np.trace(table[:-1, :-1]) / (table[:-1].sum() + table[:, :-1].sum()))


def _from_golden(
    panel: Sequence[str], labels: Sequence[str], scenes: Sequence[Scene], answers: Sequence[Sequence[Answer]]
) -> dict[str, Reliability]:
    return {
        name: reliability_of(
            [golden_score(own[at], scene.truth, labels=labels) for own, scene in zip(answers, scenes, strict=True)]
        )
        for at, name in enumerate(panel)
    }


def _unsure_and_wrong(
    found: Sequence[Consensus], truths: Sequence[Answer]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Of each candidate of all pictures. Wrong: kept where there is nothing or under another label, or left out where
    there is something."""
    unsure, wrong = [], []
    for one, truth in zip(found, truths, strict=True):
        label_at = {match.row: truth.labels[match.other] for match in matched(_as_answer(one.candidates), truth)}
        for row, candidate in enumerate(one.candidates):
            unsure.append(candidate.unsure(RULES.min_certainty))
            wrong.append(label_at.get(row) != (candidate.label if candidate.kept else None))
    return np.array(unsure), np.array(wrong)


def _as_answer(candidates: Sequence[Candidate]) -> Answer:
    boxes = np.array([one.box for one in candidates]).reshape(-1, 4)
    return Answer("merged", tuple(one.label for one in candidates), boxes)


def _truth(image: ReadImage, labels: Sequence[str]) -> tuple[Answer, tuple[float, float]]:
    width, height = image.width or 640, image.height or 480
    drawn = [Shape(one.label, one.box) for one in image.boxes if solid(one.box)]
    shapes = checked_shapes(drawn, labels=labels, width=width, height=height)
    boxes = np.array([shape.box for shape in shapes]).reshape(-1, 4)
    return Answer(TRUTH, tuple(shape.label for shape in shapes), boxes), (float(width), float(height))


def figures(name: str, runs: Sequence[Run]) -> Iterator[Figure]:
    def mean(values: Sequence[float]) -> float:
        return float(np.mean(values))

    pictures = sum(run.pictures for run in runs)
    best = max(runs[0].single, key=lambda who: mean([run.single[who].f1[0.5] for run in runs]))
    for iou in IOUS:
        single = mean([run.single[best].f1[iou] for run in runs])
        plain = mean([run.plain.f1[iou] for run in runs])
        merged = mean([run.merged.f1[iou] for run in runs])
        yield reading(f"{name}: F1 at IoU {iou:g}, best single ({best})", single, "F1", pictures)
        yield reading(f"{name}: F1 at IoU {iou:g}, plain vote", plain, "F1", pictures)
        yield at_least(f"{name}: F1 at IoU {iou:g}, merged", merged, max(single, plain), "F1", pictures)
    single, plain = mean([run.single[best].iou for run in runs]), mean([run.plain.iou for run in runs])
    merged = mean([run.merged.iou for run in runs])
    yield reading(f"{name}: IoU of matched, best single ({best})", single, "IoU", pictures)
    yield reading(f"{name}: IoU of matched, plain vote", plain, "IoU", pictures)
    yield at_least(f"{name}: IoU of matched, merged", merged, max(single, plain), "IoU", pictures)
    yield reading(f"{name}: alpha of boxes", mean([run.agreement[0] for run in runs]), "alpha", pictures)
    yield reading(f"{name}: alpha of labels", mean([run.agreement[1] for run in runs]), "alpha", pictures)
    yield reading(f"{name}: pictures that need nobody else", mean([run.decided for run in runs]), "share", pictures)
    alone = [run.alone.f1[0.5] for run in runs if run.alone is not None]
    if alone:
        yield reading(f"{name}: F1 at IoU 0.5, pictures that need nobody else", mean(alone), "F1", pictures)
    yield reading(f"{name}: of what anybody marked, unsure", mean([run.unsure for run in runs]), "share", pictures)
    yield reading(f"{name}: of what is merged wrongly, unsure", mean([run.caught for run in runs]), "share", pictures)
    each = 1000.0 * sum(run.seconds for run in runs) / pictures
    yield reading(f"{name}: time to merge a picture", each, "ms", pictures)


def main() -> int:
    labels, truths = blood_cells(PICTURES)
    found: list[Figure] = []
    for name, panel in PANELS.items():
        found += figures(name, [judged(panel, labels, truths, seed) for seed in range(SEEDS)])
    return publish("consensus", found, Console(width=120))


if __name__ == "__main__":
    sys.exit(main())
