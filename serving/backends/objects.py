"""Embeddings of detections: a feature map of the same pass, averaged over each box. NumPy only, for all runtimes."""

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from loop.domain.prediction import MOST_OBJECTS, OBJECT_DIM, Inference
from training.letterbox import Placement

_NARROWEST = 1e-3  # cells: a box is at least so wide, or it would have no average


def with_objects(
    answers: Sequence[Inference], placements: Sequence[Placement], maps: NDArray[np.float32], image_size: int
) -> list[Inference]:
    """The answers with embeddings of their most certain candidates. maps: (n, c, h, w), of each image's square of
    `image_size` pixels."""
    return [
        replace(answer, objects=_embeddings(placement.placed(answer.boxes[:MOST_OBJECTS]), level, image_size))
        for answer, placement, level in zip(answers, placements, maps, strict=True)
    ]


def _embeddings(boxes: NDArray[np.float32], level: NDArray[np.float32], image_size: int) -> NDArray[np.float16]:
    features = projected(box_means(level, boxes, image_size))
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.where(lengths > 0.0, lengths, 1.0), dtype=np.float16)


def box_means(level: NDArray[np.float32], boxes: NDArray[np.float32], image_size: int) -> NDArray[np.float32]:
    """(n, c): the bilinearly interpolated map (c, h, w) averaged over each of the (n, 4) `xyxy` boxes, in pixels of the
    square. What RoIAlign (He et al., "Mask R-CNN", ICCV 2017) tends to with more and more samples.

    An average over a rectangle of what is interpolated along both axes is a sum over cells, each with the weight of its
    row times that of its column: one matrix product for all boxes.
    """
    channels, height, width = level.shape
    scaled = boxes.astype(np.float64) * np.array([width, height] * 2) / image_size
    rows, columns = _weights(scaled[:, 1], scaled[:, 3], height), _weights(scaled[:, 0], scaled[:, 2], width)
    weights = (rows[:, :, None] * columns[:, None, :]).reshape(len(boxes), height * width)
    return np.asarray(weights @ level.reshape(channels, height * width).T)


def _weights(low: NDArray[np.float64], high: NDArray[np.float64], cells: int) -> NDArray[np.float32]:
    """(n, cells), each row of sum 1: the share of each cell in the average from `low` to `high`, in cells. Between two
    centres a cell counts linearly less with the distance; beyond the outermost the map goes on as it is there."""
    low = np.clip(low, 0.0, cells - _NARROWEST)
    high = np.clip(high, low + _NARROWEST, cells)
    centres = np.arange(cells) + 0.5
    areas = _area_left_of(high[:, None] - centres) - _area_left_of(low[:, None] - centres)
    return np.asarray(areas / (high - low)[:, None], dtype=np.float32)


def _area_left_of(t: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, cells), up to a constant: of max(0, 1 - |t|); of the first cell 1 for t < 0, of the last 1 for t > 0."""
    inside = np.clip(t, -1.0, 1.0)
    area = np.where(inside < 0.0, (inside + 1.0) ** 2 - 1.0, 1.0 - (1.0 - inside) ** 2) / 2.0
    area[:, 0] = np.where(t[:, 0] < 0.0, t[:, 0], area[:, 0])
    area[:, -1] = np.where(t[:, -1] > 0.0, t[:, -1], area[:, -1])
    return np.asarray(area)


def projected(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, c) as (n, 128): wider ones by random signs (Achlioptas, "Database-friendly random projections", JCSS 2003),
    the same for ever and everywhere; narrower ones with zeros behind."""
    channels = features.shape[1]
    if channels == OBJECT_DIM:
        return features
    if channels < OBJECT_DIM:
        wider = np.zeros((len(features), OBJECT_DIM), dtype=features.dtype)  # np.pad takes as long as all the rest
        wider[:, :channels] = features
        return wider
    return np.asarray(features @ _signs(channels))


@functools.cache
def _signs(channels: int) -> NDArray[np.float32]:
    """(c, 128) of 1 and -1, from a hash: generators of random numbers change with their library."""
    drawn = hashlib.shake_256(f"askance objects {channels}".encode()).digest(channels * OBJECT_DIM // 8)
    bits = np.unpackbits(np.frombuffer(drawn, dtype=np.uint8)).reshape(channels, OBJECT_DIM)
    return bits.astype(np.float32) * 2.0 - 1.0
