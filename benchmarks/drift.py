"""How often drift is found where there is none, and how surely where there is some.

    python -m benchmarks.drift            some fifteen minutes, and up to ten more once, for training on FOD-A
    QUICK=1 python -m benchmarks.drift    some six minutes

Everything is what a detector really says of images: the demo's seed model of its scenes (by day, by night, with noise
and blur, with digits that it was not taught), and the detector of bench-routing of FOD-A's frames. Streams are drawn
from these without replacement. Beside our tests, on the same streams: Kolmogorov-Smirnov's on each dimension of the
embeddings with Bonferroni's correction (scipy), and the MMD of Frouros.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
from rich.console import Console
from scipy import stats

from benchmarks.answers import answers
from benchmarks.fod import Frame, frames
from benchmarks.report import QUICK, Figure, at_least, at_most, publish, reading
from benchmarks.routing import detector_of, trained_on
from benchmarks.serving_peers.environments import FROUROS
from loop.demo.scenes import DAY, LABELS, Conditions, Pool, compose
from loop.domain.ports import Detector
from loop.domain.prediction import Inference
from loop.domain.production.drift import Verdict, alarm_after
from selection.drift import Sample, compare
from selection.seen import seen_in_evaluation
from serving.backends.graph import graph_of
from serving.backends.load import load_detector
from serving.backends.runtimes import Candidate, Place, opened, prepared
from serving.images import decode_image
from training.head import read_head

LEVEL = 0.05
REFERENCE, WINDOW, MANY = 300, 200, 500
BY_DAY, CHANGED = (1200, 500) if QUICK else (3000, 800)  # scenes
STREAMS = 200 if QUICK else 500
SHIFTED = 40 if QUICK else 100  # streams with drift
LONG, WINDOWS = (20, 4) if QUICK else (60, 12)  # long streams, and windows of each
BY_SEQUENCE = 60 if QUICK else 200
PEER_STREAMS, PEER_SHIFTED, PEER_MIXED, PEER_PERMUTATIONS = (20, 10, 4, 59) if QUICK else (60, 20, 12, 59)
THRESHOLD, FLOOR = 0.25, 0.05
FALSE_BAR, POWER_BAR, SECONDS_BAR = 0.07, 0.9, 2.0
ONE_THREAD = Place(device="cpu", threads=1, batch=1)

Pair = tuple[Sample, Sample]
Drifts = Callable[[Pair], bool]
Digits = Callable[[np.random.Generator], Conditions]

KINDS: Mapping[str, Digits] = {
    "night": lambda rng: Conditions(night=float(rng.uniform(0.25, 0.85))),
    "noise": lambda rng: Conditions(grain=float(rng.uniform(0.03, 0.09)), blur=float(rng.uniform(2.0, 6.0))),
    "new class": lambda rng: Conditions(digits=LABELS, fresh=int(rng.integers(1, 3))),
}


# --- what a detector says of images ------------------------------------------------------------------


def sample_of(inferences: Sequence[Inference], blocks: Sequence[str], classes: int) -> Sample:
    return seen_in_evaluation(inferences, blocks, floor=FLOOR).sample(THRESHOLD, classes)


def scenes(kind: Digits, count: int, seed: int) -> list[bytes]:
    rng = np.random.default_rng([seed, count])
    return [compose(rng, conditions=kind(rng), pool=Pool.STREAM).jpeg() for _ in range(count)]


def of_digits() -> Iterator[tuple[str, Sample]]:
    """By kind; "day" first. "served": the same day scenes, through the runtime that serves here."""
    weights = files("loop.demo").joinpath("seed.safetensors").read_bytes()
    detector, size = load_detector(weights, threads=1), read_head(weights).image_size

    def seen(through: Detector, pictures: Sequence[bytes], name: str) -> Sample:
        images = [decode_image(one, max_pixels=10**6, enough=size)[1] for one in pictures]
        blocks = [f"{name} {number}" for number in range(len(images))]
        return sample_of(answers(through, images, score_floor=FLOOR), blocks, len(LABELS))

    by_day = scenes(lambda _: DAY, BY_DAY, 1)
    yield "day", seen(detector, by_day, "day")
    yield "served", seen(served(weights), by_day, "day")
    for seed, (name, kind) in enumerate(KINDS.items(), start=2):
        yield name, seen(detector, scenes(kind, CHANGED, seed), name)


def served(weights: bytes) -> Detector:
    """By OpenVINO, which is what serves on most processors, in the precision that it computes fastest."""
    head, graph = graph_of(weights)
    candidate = Candidate("openvino", "bf16")
    return opened(candidate, head, prepared(candidate, head, graph, ONE_THREAD), ONE_THREAD)


def of_frames(all_frames: Sequence[Frame]) -> Sample:
    """All of FOD-A's, those that the detector was trained on too, in their order; a block is a sequence."""
    labels = tuple(sorted({label for frame in all_frames for label in frame.labels}))
    detector = load_detector(detector_of(trained_on(all_frames), labels), threads=1)
    images = [decode_image(f.image.path.read_bytes(), max_pixels=10**6, enough=160)[1] for f in all_frames]
    return sample_of(answers(detector, images, score_floor=FLOOR), [f.sequence for f in all_frames], len(labels))


# --- streams ---------------------------------------------------------------------------------------


def apart(sample: Sample) -> Sample:
    """Each image by itself."""
    return replace(sample, blocks=np.arange(len(sample)).astype(str))


def joined(one: Sample, other: Sample) -> Sample:
    return Sample(
        embeddings=np.concatenate([one.embeddings, other.embeddings]),
        scores=np.concatenate([one.scores, other.scores]),
        counts=np.concatenate([one.counts, other.counts]),
        blocks=np.concatenate([one.blocks, other.blocks]),
    )


def same(usual: Sample, runs: int, sizes: tuple[int, int], seed: int) -> Iterator[Pair]:
    """Reference and window of the same images in any order."""
    rng = np.random.default_rng(seed)
    reference, window = sizes
    for _ in range(runs):
        order = rng.permutation(len(usual))
        yield usual.take(order[:reference]), usual.take(order[reference : reference + window])


def mixed(usual: Sample, changed: Sample, share: float, runs: int, sizes: tuple[int, int], seed: int) -> Iterator[Pair]:
    """The window has a `share` of changed images."""
    rng = np.random.default_rng([seed, runs])
    reference, window = sizes
    new = round(share * window)
    for _ in range(runs):
        order, others = rng.permutation(len(usual)), rng.permutation(len(changed))
        kept = usual.take(order[reference : reference + window - new])
        yield usual.take(order[:reference]), joined(kept, changed.take(others[:new]))


def by_sequence(everything: Sample, runs: int, seed: int) -> Iterator[Pair]:
    """Whole sequences for either side, thinned to its size; frames of a sequence are near-duplicates."""
    rng = np.random.default_rng(seed)
    names = np.unique(everything.blocks)
    for _ in range(runs):
        dealt = rng.permutation(names)
        sides = dealt[: round(0.55 * len(names))], dealt[round(0.55 * len(names)) :]
        rows = [np.flatnonzero(np.isin(everything.blocks, side)) for side in sides]
        thinned = [np.sort(rng.permutation(own)[:size]) for own, size in zip(rows, (REFERENCE, WINDOW), strict=True)]
        yield everything.take(thinned[0]), everything.take(thinned[1])


# --- tests ------------------------------------------------------------------------------------------


def ours(pair: Pair) -> bool:
    reference, window = pair
    labels = [str(number) for number in range(reference.counts.shape[1])]
    return compare(reference, window, labels=labels, rng=np.random.default_rng(0)).differs(LEVEL)


def each_dimension(pair: Pair) -> bool:
    reference, window = (side.embeddings for side in pair)
    columns = zip(reference.T, window.T, strict=True)
    least = min(stats.ks_2samp(a, b, method="asymp").pvalue for a, b in columns)  # exact takes a hundred times as long
    return bool(least * reference.shape[1] <= LEVEL)


def rate(pairs: Iterator[Pair], drifts: Drifts) -> tuple[float, int]:
    found = [drifts(pair) for pair in pairs]
    return float(np.mean(found)), len(found)


def frouros(pairs: Iterator[Pair], console: Console) -> tuple[float, int, float]:
    """The share in which it finds drift, of how many, and the seconds of one."""
    drawn = list(pairs)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "streams.npz"
        sides = [np.stack([pair[side].embeddings for pair in drawn]) for side in range(2)]
        np.savez(path, reference=sides[0], recent=sides[1])
        script = Path(__file__).parent / "drift_peers" / "frouros_mmd.py"
        command = [FROUROS.python(console), str(script), str(path), str(PEER_PERMUTATIONS)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    answer = json.loads(done.stdout)
    return float(np.mean(np.array(answer["p_values"]) <= LEVEL)), len(drawn), float(answer["seconds"])


# --- figures ----------------------------------------------------------------------------------------


def false_alarms(digits: Mapping[str, Sample], of_fod: Sample, console: Console) -> Iterator[Figure]:
    day, sizes = digits["day"], (REFERENCE, WINDOW)
    name = "drift found where there is none"
    for what, usual in (("digit scenes by day", day), ("FOD-A, frames in any order", apart(of_fod))):
        found, n = rate(same(usual, STREAMS, sizes, 1), ours)
        yield at_most(f"{name}: {what}", found, FALSE_BAR, "share of windows", n)
    rows = np.arange(len(day))
    halves = (
        (day.take(rows[order[:REFERENCE]]), digits["served"].take(rows[order[REFERENCE : REFERENCE + WINDOW]]))
        for order in (np.random.default_rng([2, run]).permutation(len(day)) for run in range(STREAMS))
    )
    found, n = rate(halves, ours)
    yield at_most(f"{name}: reference by torch, window by OpenVINO bf16", found, FALSE_BAR, "share of windows", n)
    yield from long_streams(day)
    for blocks in (True, False):
        pairs = by_sequence(of_fod, BY_SEQUENCE, 3)
        found, n = rate(pairs if blocks else ((apart(a), apart(b)) for a, b in pairs), ours)
        yield reading(f"{name}: FOD-A by sequence, {'with' if blocks else 'without'} blocks", found, "share", n)
    found, n = rate(same(day, STREAMS, sizes, 1), each_dimension)
    yield reading(f"{name}: digit scenes, KS on each dimension", found, "share of windows", n)
    found, n, seconds = frouros(same(day, PEER_STREAMS, sizes, 1), console)
    yield reading(f"{name}: digit scenes, Frouros MMD", found, "share of windows", n)
    yield reading(f"seconds of a look, Frouros MMD, {PEER_PERMUTATIONS} permutations", seconds, "s", n)


def long_streams(day: Sample) -> Iterator[Figure]:
    """The schedule: one reference, one window after the other; an alarm takes two in a row."""
    alarms, windows, streams = 0, 0, 0
    rng = np.random.default_rng(4)
    for _ in range(LONG):
        order = rng.permutation(len(day))
        reference, verdicts, alarm, began = day.take(order[:REFERENCE]), list[Verdict](), False, 0
        for number in range(WINDOWS):
            start = REFERENCE + number * WINDOW
            drifts = ours((reference, day.take(order[start : start + WINDOW])))
            verdicts.insert(0, Verdict.DRIFT if drifts else Verdict.SAME)
            before, alarm = alarm, alarm_after(verdicts, alarm, confirm=2)
            began += alarm and not before
        windows += len(verdicts)
        alarms += began
        streams += bool(began)
    yield at_most(
        f"streams of {WINDOWS} windows without drift that ever alarm", streams / LONG, FALSE_BAR, "share", LONG
    )
    yield reading("alarms for each 1000 windows without drift", 1000.0 * alarms / windows, "alarms", windows)


def power(digits: Mapping[str, Sample], console: Console) -> Iterator[Figure]:
    day, sizes = digits["day"], (REFERENCE, WINDOW)
    for kind in KINDS:
        name = f"drift found: {kind}, {WINDOW} images"
        found, n = rate(mixed(day, digits[kind], 1.0, SHIFTED, sizes, 5), ours)
        yield at_least(name, found, POWER_BAR, "share of windows", n)
        found, n = rate(mixed(day, digits[kind], 1.0, SHIFTED, sizes, 5), each_dimension)
        yield reading(f"{name}, KS on each dimension", found, "share of windows", n)
        found, n, _ = frouros(mixed(day, digits[kind], 1.0, PEER_SHIFTED, sizes, 5), console)
        yield reading(f"{name}, Frouros MMD", found, "share of windows", n)
    for kind in KINDS:
        name = f"drift found: a tenth {kind}, {MANY} images"
        found, n = rate(mixed(day, digits[kind], 0.1, SHIFTED, (MANY, MANY), 6), ours)
        yield reading(name, found, "share of windows", n)
        found, n = rate(mixed(day, digits[kind], 0.1, SHIFTED, (MANY, MANY), 6), each_dimension)
        yield reading(f"{name}, KS on each dimension", found, "share of windows", n)
        found, n, _ = frouros(mixed(day, digits[kind], 0.1, PEER_MIXED, (MANY, MANY), 6), console)
        yield reading(f"{name}, Frouros MMD", found, "share of windows", n)


def real_power(of_fod: Sample, all_frames: Sequence[Frame]) -> Iterator[Figure]:
    """Dry and bright frames that the detector was not trained on, against other conditions; frames in any order."""
    usual = np.array([f.weather == "Dry" and f.light == "Bright" and (f.later or f.held_out) for f in all_frames])
    for name, is_new in (("wet", lambda f: f.weather == "Wet"), ("dark", lambda f: f.light == "Dark")):
        new = np.array([is_new(f) for f in all_frames])
        day, changed = (apart(of_fod).take(np.flatnonzero(rows)) for rows in (usual, new))
        sizes = (min(REFERENCE, len(day)), min(WINDOW, len(changed)))
        found, n = rate(mixed(day, changed, 1.0, SHIFTED, sizes, 7), ours)
        yield reading(f"drift found: FOD-A {name}, {sizes[1]} images", found, "share of windows", n)


def seconds() -> Figure:
    """As large as the settings allow: 500 and 500 images, embeddings of 256, all tests, intervals, and what moved."""
    rng = np.random.default_rng(0)

    def drawn() -> Sample:
        return Sample(
            embeddings=rng.normal(size=(MANY, 256)).astype(np.float32),
            scores=rng.uniform(size=MANY),
            counts=rng.poisson(0.5, size=(MANY, 20)).astype(np.float64),
            blocks=np.arange(MANY).astype(str),
        )

    pair = drawn(), drawn()
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        ours(pair)
        times.append(time.perf_counter() - begun)
    return at_most(f"a look at {MANY} + {MANY} images x 256, 999 permutations", min(times), SECONDS_BAR, "s", 3)


def main() -> int:
    console = Console()
    all_frames = frames()
    digits, of_fod = dict(of_digits()), of_frames(all_frames)
    found = [
        seconds(), *false_alarms(digits, of_fod, console), *power(digits, console), *real_power(of_fod, all_frames),
    ]  # fmt: skip
    return publish("drift", found, console)


if __name__ == "__main__":
    sys.exit(main())
