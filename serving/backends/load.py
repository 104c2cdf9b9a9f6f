"""From the bytes of a model file to a detector that runs it."""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache as once
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from loop.domain.errors import AskanceError, BadWeights, Unavailable
from loop.domain.model import ModelHead
from loop.domain.ports import Detector
from serving.backends import choice_cache
from serving.backends.choice import Measuring, choose, warm_up
from serving.backends.choice_cache import Kept
from serving.backends.parity import ParityLimits
from serving.backends.runtimes import AUTO, REFERENCE, Place, candidates, cores, opened
from serving.backends.synthetic_images import synthetic_images
from training.head import network_of, read_head

log = logging.getLogger("askance.runtime")


def load_detector(
    content: bytes,
    *,
    device: str = "cpu",
    threads: int = 0,
    precision: str = "fp32",
    max_batch_size: int = 1,
    objects: bool = False,
) -> Detector:
    """The detector in `content` (a file of training.weights) in torch, ready on `device` (a torch device).

    threads: CPU threads of this process for one forward pass; 0 leaves torch's choice. precision: fp32 | bf16 | fp16.
    max_batch_size: what the detector names as the batch it gains from. objects: answers have embeddings of their
    objects. Raises BadWeights for a file that cannot be read or whose backend is unknown, and for a device that is not
    there.
    """
    # Here, not above: who serves by another runtime needs no torch.
    from training.weights import read_weights

    head, state = read_weights(content)
    if head.backend == "ultralytics":
        from serving.backends.ultralytics import UltralyticsDetector

        return UltralyticsDetector(
            head, state, device=device, threads=threads, precision=precision, batch=max_batch_size, objects=objects
        )
    if head.backend == "torchvision":
        from serving.backends.torchvision import TorchvisionDetector

        return TorchvisionDetector(
            head, state, device=device, threads=threads, precision=precision, batch=max_batch_size, objects=objects
        )
    raise BadWeights(
        f"the model file wants the backend {head.backend!r}, which is not known here.",
        hint="Known backends: torchvision, ultralytics. Update this service if the file is from a newer one.",
        backend=head.backend,
    )


def load_fastest(
    content: bytes,
    *,
    cache: Path,
    runtime: str = AUTO,
    precision: str = AUTO,
    device: str = "cpu",
    threads: int = 0,
    max_batch_size: int = 8,
    objects: bool = False,
    limits: ParityLimits | None = None,
    images: Sequence[NDArray[np.uint8]] = (),
    reference: Detector | None = None,
) -> Detector:
    """The detector in `content` by the fastest runtime and precision that pass parity, warmed up.

    runtime, precision: a name, or auto for the fastest. objects: answers have embeddings of their objects. threads: CPU
    threads in all, which graph runtimes use as streams; 0: the cores of this process. images: real ones, (H, W, 3) RGB
    uint8, to compare on and, from `limits.calibration_images` on, to calibrate int8 with; drawn ones complete the
    comparison. reference: what `load_detector` makes of the same file, device, batch and objects in float32, where it
    is there already: it is not opened again to compare with. cache: folder where outcome and graph are kept; a second
    call with the same arguments measures nothing, and imports torch only where torch was chosen; another model of the
    same network is compared, not timed.

    Raises SettingsError for a runtime or precision that is unknown, not installed, or not for this device; BadWeights
    for a file that cannot be read and where nothing that was asked for answers as torch does.
    """
    limits = limits or ParityLimits()
    head = read_head(content)
    wanted = candidates(runtime, precision, device)
    place = Place(device, threads or cores(), max_batch_size)

    def open_torch(precision: str) -> Detector:
        if reference is not None and precision == REFERENCE.precision:
            return reference
        return load_detector(
            content,
            device=device,
            threads=place.threads,
            precision=precision,
            max_batch_size=max_batch_size,
            objects=objects,
        )

    if wanted == [REFERENCE]:
        return _warm(open_torch(REFERENCE.precision), head)
    terms: dict[str, object] = {
        "wanted": [str(candidate) for candidate in wanted],
        "device": device,
        "threads": place.threads,
        "max_batch_size": max_batch_size,
        "limits": asdict(limits),
        "calibrated": len(images) >= limits.calibration_images and any(one.precision == "int8" for one in wanted),
    }
    if objects:  # another graph; without, names are those of before
        terms["objects"] = True
    folder = cache / choice_cache.key_of(hashlib.sha256(content).hexdigest(), **terms)
    ranking = cache / f"{choice_cache.key_of(network_of(content), **terms)}.ranking.json"

    def remembered() -> Detector | None:
        kept = choice_cache.read(folder)
        return None if kept is None else _remembered(kept, head, place, open_torch)

    if (known := remembered()) is not None:
        return known
    with choice_cache.alone(folder):
        if (known := remembered()) is not None:  # by whom we waited for
            return known
        drawn = synthetic_images(max(0, limits.images - len(images)), head.image_size)
        chosen = choose(
            wanted,
            Measuring(
                head=head,
                graph=_graph_maker(content, objects),
                torch=open_torch,
                images=[*images, *drawn],
                calibration=images,
                place=place,
                limits=limits,
            ),
            choice_cache.read_ranking(ranking),
        )
        _keep(folder, Kept(chosen.candidate, chosen.artifact, chosen.report))
        if chosen.ranking:
            choice_cache.write_ranking(ranking, chosen.ranking)
    return _warm(chosen.detector, head)


def _graph_maker(content: bytes, objects: bool) -> Callable[[], bytes]:
    @once
    def graph() -> bytes:
        from serving.backends.graph import graph_of

        return graph_of(content, objects=objects)[1]

    return graph


def _remembered(kept: Kept, head: ModelHead, place: Place, open_torch: Callable[[str], Detector]) -> Detector | None:
    """What was chosen before; None where it does not open any more, so that it is measured again."""
    try:
        if kept.artifact is None:
            detector = open_torch(kept.candidate.precision)
        else:
            detector = opened(kept.candidate, head, kept.artifact, place)
        _warm(detector, head)
    except AskanceError as error:
        log.warning("the remembered runtime %s does not work any more: %s", kept.candidate, error)
        return None
    log.info("serving by %s, as remembered", kept.candidate)
    return detector


def _warm(detector: Detector, head: ModelHead) -> Detector:
    warm_up(detector, head.image_size)
    return detector


def _keep(folder: Path, kept: Kept) -> None:
    """A choice that cannot be kept still serves; the next start measures again."""
    try:
        choice_cache.write(folder, kept)
    except Unavailable as error:
        log.warning("%s", error)
