"""Which predictions are wrong: how many of them routing finds, on real frames with a model trained on a part of them.

    python -m benchmarks.routing            some twenty minutes, most of it training (kept in benchmarks/.cache)
    QUICK=1 python -m benchmarks.routing    some ten minutes: fewer images and epochs

The detector learns from the beginning of FOD-A's dry and bright sequences. Then it sees how they end, and sequences
that are new to it, in all weathers and lights. Those are split by sequence into a part that people review, from which
risk is learned, and a part on which every way to rank is measured. Repeated over splits; medians.
"""

import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from sklearn.metrics import roc_auc_score

from benchmarks.answers import answers
from benchmarks.fod import Frame, coco_start, frames
from benchmarks.report import QUICK, Figure, at_least, publish, reading
from benchmarks.service.model import CACHE
from loop.domain.corrections import corrections
from loop.domain.prediction import Inference, detections_of
from selection.anomaly import AnomalyScorer
from selection.risk import heuristic_risk
from selection.risk_fitting import Reviews, fit_risk
from selection.scores import Signals, signals
from serving.backends.load import load_detector
from serving.images import decode_image
from training.head import head_json, read_head
from training.recipe import TrainingRecipe
from training.train import train

SIZE = 160
RECIPE = TrainingRecipe(
    epochs=6 if QUICK else 14, image_size=SIZE, batch=16, learning_rate=0.002, mosaic=0.3, warmup_epochs=0.5, threads=2
)
TRAINED_ON = 400 if QUICK else 900  # images, at least
SPLITS = 5 if QUICK else 20
BUDGETS = (0.05, 0.10, 0.20)
THRESHOLD, FLOOR, IOU = 0.25, 0.01, 0.5
NEIGHBOURS = 10
CAUGHT_BAR, AUROC_BAR, NOVELTY_BAR = 0.6, 0.8, 0.85

# Each signal so that more is riskier.
RAW: Mapping[str, Callable[[Signals], float]] = {
    "1 - lowest score": lambda s: s.least_confidence,
    "mean entropy": lambda s: s.mean_entropy,
    "largest entropy": lambda s: s.max_entropy,
    "summed entropy": lambda s: s.sum_class_entropy,
    "largest entropy over labels": lambda s: s.max_class_entropy or 0.0,
    "1 - score, summed": lambda s: s.sum_least_confidence or 0.0,
    "1 - smallest margin": lambda s: s.least_margin,
    "1 - margin, summed": lambda s: s.sum_margin or 0.0,
    "near-threshold mass": lambda s: s.near_threshold_mass,
    "1 - anomaly p": lambda s: 1.0 - s.anomaly_p,
    "- detections": lambda s: -s.count,
}


@dataclass(frozen=True, slots=True)
class Looked:
    """What the detector said of a frame. failed: a person would have to correct it."""

    frame: Frame
    embedding: NDArray[np.float32]
    signals: Signals
    failed: bool


def trained_on(all_frames: Sequence[Frame]) -> list[Frame]:
    """The beginnings of dry and bright sequences that are not held out, evenly thinned, to no fewer than TRAINED_ON."""
    fit = [f for f in all_frames if f.weather == "Dry" and f.light == "Bright" and not f.held_out and not f.later]
    return fit[:: max(1, len(fit) // TRAINED_ON)]


def stream_of(all_frames: Sequence[Frame]) -> list[Frame]:
    """What comes after, and what is new."""
    return [f for f in all_frames if f.later or f.held_out or (f.weather, f.light) != ("Dry", "Bright")]


def detector_of(images: Sequence[Frame], labels: tuple[str, ...]) -> bytes:
    """From the cache, or trained now."""
    start = coco_start(labels, SIZE)
    what = [RECIPE.to_json(), head_json(read_head(start)), [f.image.path.name for f in images]]
    identity = json.dumps(what, sort_keys=True)
    path = CACHE / "models" / f"fod-{hashlib.sha256(identity.encode()).hexdigest()[:16]}.safetensors"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="askance-bench-") as workdir:
            trained = train(
                start=start, images=[f.image for f in images], val=[], labels=labels, recipe=RECIPE,
                workdir=Path(workdir), progress=lambda *_: None,
            )  # fmt: skip
        path.write_bytes(trained.weights)
    return path.read_bytes()


def looked_at(weights: bytes, images: Sequence[Frame], references: Sequence[Frame]) -> list[Looked]:
    """`images` with their signals; anomaly is measured against `references`."""
    detector = load_detector(weights, threads=2)

    def seen(some: Sequence[Frame]) -> list[Inference]:
        pixels = [decode_image(f.image.path.read_bytes(), max_pixels=10**8, enough=SIZE)[1] for f in some]
        return answers(detector, pixels, score_floor=FLOOR)

    scorer = AnomalyScorer.fit(np.stack([one.embedding for one in seen(references)]), k=NEIGHBOURS)
    return [
        Looked(frame, one.embedding, _signals(one, frame, scorer), _fails(one, frame, detector.labels))
        for frame, one in zip(images, seen(images), strict=True)
    ]


def _signals(one: Inference, frame: Frame, scorer: AnomalyScorer) -> Signals:
    image = frame.image
    p = scorer.p_value(one.embedding)
    return signals(one, threshold=THRESHOLD, width=image.width, height=image.height, anomaly_p=p)


def _fails(one: Inference, frame: Frame, labels: tuple[str, ...]) -> bool:
    return bool(corrections(detections_of(one, labels, THRESHOLD), frame.image.shapes, iou=IOU))


def caught(risk: NDArray[np.float64], failed: NDArray[np.bool_], budget: float, rng: np.random.Generator) -> float:
    """Share of all failures among the riskiest `budget`; of equals any."""
    count = max(1, round(budget * len(risk)))
    order = np.lexsort((rng.permutation(len(risk)), -risk))
    return float(failed[order[:count]].sum() / max(1, failed.sum()))


def gain(share: float, failed: NDArray[np.bool_], budget: float) -> float:
    """(caught - random) ÷ (perfect - random)."""
    perfect = min(1.0, budget * len(failed) / max(1, failed.sum()))
    return (share - budget) / (perfect - budget)


def ranked(seen: Sequence[Looked], seed: int) -> Iterator[tuple[str, float, list[float], list[float]]]:
    """Of each way to rank, by one split: its name, AUROC, caught at the budgets, gain at them."""
    rng = np.random.default_rng(seed)
    fresh, risk = fresh_risks(seen, seed, rng)
    failed = np.array([one.failed for one in fresh])
    ways = {
        "learned risk": risk,
        "heuristic risk": np.array([heuristic_risk(one.signals) for one in fresh]),
        **{name: np.array([of(one.signals) for one in fresh]) for name, of in RAW.items()},
        "random": rng.uniform(size=len(fresh)),
    }
    for name, risk in ways.items():
        shares = [caught(risk, failed, budget, rng) for budget in BUDGETS]
        gains = [gain(share, failed, budget) for share, budget in zip(shares, BUDGETS, strict=True)]
        yield name, float(roc_auc_score(failed, risk)), shares, gains


def fresh_risks(
    seen: Sequence[Looked], seed: int, rng: np.random.Generator
) -> tuple[list[Looked], NDArray[np.float64]]:
    """The frames of a half of the sequences, and their risks, learned from the other half."""
    sequences = rng.permutation(sorted({one.frame.sequence for one in seen}))
    reviewed_ones = set(sequences[: len(sequences) // 2])
    reviewed = [one for one in seen if one.frame.sequence in reviewed_ones]
    fresh = [one for one in seen if one.frame.sequence not in reviewed_ones]
    learned, _ = fit_risk(_reviews(reviewed), seed=seed)
    return fresh, learned.of_all(_columns(fresh))


def _columns(seen: Sequence[Looked]) -> dict[str, NDArray[np.float64]]:
    rows = [one.signals.as_dict() for one in seen]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _reviews(seen: Sequence[Looked]) -> Reviews:
    failed = np.array([one.failed for one in seen])
    return Reviews(signals=_columns(seen), failed=failed, probability=np.ones(len(seen)))


def routing_figures(all_frames: Sequence[Frame], labels: tuple[str, ...]) -> Iterator[Figure]:
    fit = trained_on(all_frames)
    seen = looked_at(detector_of(fit, labels), stream_of(all_frames), fit)
    found: dict[str, list[tuple[float, list[float], list[float]]]] = {}
    for seed in range(SPLITS):
        for name, auroc, shares, gains in ranked(seen, seed):
            found.setdefault(name, []).append((auroc, shares, gains))
    medians = {
        name: (np.median([a for a, _, _ in all_]), np.median([s for _, s, _ in all_], axis=0),
               np.median([g for _, _, g in all_], axis=0))
        for name, all_ in found.items()
    }  # fmt: skip
    n = len(seen)
    yield reading("frames that failed", float(np.mean([one.failed for one in seen])), "share", n)
    yield at_least("AUROC, learned risk", medians["learned risk"][0], AUROC_BAR, "", n)
    yield at_least("(caught - random) ÷ (perfect - random) at 10 %, learned risk", medians["learned risk"][2][1],
                   CAUGHT_BAR, "ratio", n)  # fmt: skip
    best = max(medians[name][0] for name in RAW)
    yield at_least("AUROC of the learned risk - that of the best signal", medians["learned risk"][0] - best, 0.0, "", n)
    yield from _beside_signals({name: np.array([shares for _, shares, _ in all_]) for name, all_ in found.items()}, n)
    for name, (auroc, shares, _) in medians.items():
        yield reading(f"AUROC, {name}", auroc, "", n)
        for budget, share in zip(BUDGETS, shares, strict=True):
            yield reading(f"failures caught at {budget:.0%}, {name}", share, "share", n)


def _beside_signals(shares: Mapping[str, NDArray[np.float64]], n: int) -> Iterator[Figure]:
    """shares: (splits, budgets) of failures caught, by way to rank. Compared split by split, since splits differ in how
    much can be caught; each with the signal that happens to be best in it, which nobody could have known."""
    ratios = shares["learned risk"] / np.max([shares[name] for name in RAW], axis=0)
    for number, budget in enumerate(BUDGETS):
        what = f"failures caught at {budget:.0%} by the learned risk ÷ by the split's best signal"
        yield at_least(f"{what}, median", float(np.median(ratios[:, number])), 1.0, "ratio", n)
        yield reading(f"{what}, mean", float(ratios[:, number].mean()), "ratio", n)


def novelty_figures(all_frames: Sequence[Frame], labels: tuple[str, ...]) -> Iterator[Figure]:
    """Conditions that training has not seen, found by distance to its images; the bar is for one of them."""
    fit = trained_on(all_frames)
    seen = looked_at(detector_of(fit, labels), stream_of(all_frames), fit)
    usual = [one for one in seen if (one.frame.weather, one.frame.light) == ("Dry", "Bright")]
    told: dict[str, float] = {}
    for name, is_new in (("dark", lambda f: f.light == "Dark"), ("wet", lambda f: f.weather == "Wet")):
        new = [one for one in seen if is_new(one.frame)]
        truth = [0] * len(usual) + [1] * len(new)
        told[name] = float(roc_auc_score(truth, [1.0 - one.signals.anomaly_p for one in [*usual, *new]]))
        yield reading(f"anomaly: {name} frames told from dry and bright ones, AUROC", told[name], "", len(truth))
    best = max(told, key=lambda name: told[name])
    yield at_least(
        f"anomaly: a condition that training has not seen ({best}), AUROC", told[best], NOVELTY_BAR, "", len(seen)
    )


def main() -> int:
    all_frames = frames()
    labels = tuple(sorted({label for frame in all_frames for label in frame.labels}))
    figures = [*routing_figures(all_frames, labels), *novelty_figures(all_frames, labels)]
    return publish("routing", figures, Console())


if __name__ == "__main__":
    sys.exit(main())
