"""The pictures that are sent: a handful of the data set's, or noise of their size where it is missing."""

from pathlib import Path

import cv2
import numpy as np

from benchmarks.service.model import CACHE, DATA_SET
from tests.requirements import DATA

COUNT = 8


def pictures() -> list[Path]:
    """JPEG files, 640 x 480, some 20 kB each, always the same."""
    found = sorted((DATA / DATA_SET).glob("**/*.jpg"))
    return found[:: max(1, len(found) // COUNT)][:COUNT] if found else [_made(number) for number in range(COUNT)]


def _made(number: int) -> Path:
    """Smooth noise, which compresses like a photograph."""
    path = CACHE / "pictures" / f"{number}.jpg"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        coarse = np.random.default_rng(number).integers(0, 256, (60, 80, 3), dtype=np.uint8)
        cv2.imwrite(str(path), cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_CUBIC))
    return path
