"""How the settings choose the runtime of a model, online and in bulk alike."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from loop.domain.ports import Detector
from loop.settings import Settings
from serving.second_look import SecondLook


def fastest_detector(
    settings: Settings,
    weights: bytes,
    *,
    device: str,
    max_batch_size: int,
    consistency: bool,
    objects: bool,
    images: Sequence[NDArray[np.uint8]] = (),
    reference: Detector | None = None,
) -> Detector:
    """The detector in `weights` as the settings want it served, warm; remembered in data_dir. consistency: each image
    is looked at mirrored, too. objects: answers have embeddings of their objects. images: (H, W, 3) RGB uint8, to
    compare runtimes on. reference: see `load_fastest`. Raises what that raises."""
    # Here, not above: who only asks for the work needs no runtime.
    from serving.backends.load import load_fastest

    detector = load_fastest(
        weights,
        cache=settings.data_dir / "runtimes",
        runtime=settings.serving.runtime,
        precision=settings.serving.precision,
        device=device,
        threads=settings.serving.threads,
        max_batch_size=max_batch_size,
        objects=objects,
        limits=settings.parity.as_limits(),
        images=images,
        reference=reference,
    )
    return SecondLook(detector) if consistency else detector
