"""YOLO detectors of ultralytics: boxes, class scores and the embedding from one forward pass."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.ops import batched_nms

from loop.domain.errors import Unavailable
from loop.domain.model import ModelHead
from loop.domain.prediction import Inference
from serving.backends.letterbox import Placement, letterboxed
from serving.backends.pooling import pooled
from serving.backends.runtime import on_device
from training.networks import detect_head, ultralytics_network

# Two boxes of one class that overlap more than this are one object. Between ultralytics' 0.7, which leaves
# duplicates for a later score threshold, and the 0.5 of the VOC days, which loses neighbours in crowds.
NMS_IOU = 0.6
MAX_CANDIDATES = 3000  # before NMS, the best of each image
MAX_DETECTIONS = 300


class UltralyticsDetector:
    """A `Detector`. End-to-end models (v10, YOLO26) answer with their one-to-many head, which keeps class vectors.

    NMS is per class and has no time limit (ultralytics' own drops the rest of a batch after one).
    """

    def __init__(self, head: ModelHead, state: Mapping[str, Tensor], *, device: str, threads: int) -> None:
        network = ultralytics_network(head.architecture, len(head.labels), state)
        detect_head(network).end2end = False
        network.fuse(verbose=False)  # type: ignore[operator]
        self._network = on_device(network, device, threads)
        self._head = head
        self._device = device
        self._levels: list[Tensor] = []
        detect_head(self._network).register_forward_pre_hook(self._keep_levels)

    @property
    def labels(self) -> tuple[str, ...]:
        return self._head.labels

    @property
    def embedding_dim(self) -> int:
        return self._head.embedding_dim

    def predict(self, images: Sequence[NDArray[np.uint8]], *, score_floor: float) -> list[Inference]:
        """See `loop.domain.ports.Detector`. Raises Unavailable where the network answers with NaN or infinity."""
        if not images:
            return []
        batch, placements = letterboxed(images, self._head.image_size)
        with torch.inference_mode():
            decoded, _ = self._network(batch.to(self._device))
            embeddings = pooled(self._levels)
            self._levels = []
            answers = torch.cat([decoded.flatten(1), embeddings], dim=1)
            if not bool(torch.isfinite(answers).all()):
                raise Unavailable("the model answered with values that are not finite.", hint="Roll back to another.")
            rows = decoded.transpose(1, 2).float().cpu()
            vectors = embeddings.cpu().numpy()
            return [
                _inference(row, placement, vector, score_floor)
                for row, placement, vector in zip(rows, placements, vectors, strict=True)
            ]

    def _keep_levels(self, _module: object, inputs: tuple[list[Tensor], ...]) -> None:
        self._levels = list(inputs[0])


def _inference(rows: Tensor, placement: Placement, embedding: NDArray[np.float32], floor: float) -> Inference:
    """rows: (A, 4 + C): box as centre and size in pixels of the square, then the class scores."""
    class_scores = rows[:, 4:]
    scores, classes = class_scores.max(dim=1)
    order = torch.argsort(scores, descending=True, stable=True)[:MAX_CANDIDATES]
    order = order[scores[order] >= floor]
    boxes = _corners(rows[order, :4])
    kept = batched_nms(boxes, scores[order], classes[order], NMS_IOU).sort().values
    boxes, order = placement.restored(boxes[kept]), order[kept]
    solid = ((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])).nonzero().flatten()[:MAX_DETECTIONS]
    order = order[solid]
    return Inference(
        boxes=boxes[solid].numpy(),
        scores=scores[order].numpy(),
        classes=classes[order].numpy(),
        class_scores=class_scores[order].numpy(),
        embedding=embedding.copy(),
    )


def _corners(boxes: Tensor) -> Tensor:
    centre, half = boxes[:, :2], boxes[:, 2:] / 2
    return torch.cat([centre - half, centre + half], dim=1)
