"""Detectors of torchvision in torch: Faster R-CNN, RetinaNet, FCOS, SSDlite."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from loop.domain.model import ModelHead
from loop.domain.prediction import Inference
from serving.backends.candidates import MAX_DETECTIONS, sparse_inference
from serving.backends.class_scores import OneStageScores, TwoStageScores, class_scores_of
from serving.backends.objects import with_objects
from serving.backends.pooling import checked_dim, pooled
from serving.backends.runtime import in_precision, on_device
from training.letterbox import letterboxed
from training.networks import (
    feature_levels,
    level_of_8_pixels,
    torchvision_body,
    torchvision_embedding_dim,
    torchvision_network,
)


class TorchvisionDetector:
    """A `Detector`. NMS is torchvision's own, per class, at each architecture's default overlap."""

    streams = 1

    def __init__(
        self,
        head: ModelHead,
        state: Mapping[str, Tensor],
        *,
        device: str,
        threads: int,
        precision: str = "fp32",
        batch: int = 1,
        objects: bool = False,
    ) -> None:
        """objects: answers have embeddings of their objects."""
        self._forward = TorchvisionForward(head, state, objects=objects)
        on_device(self._forward, device, threads)
        self._head = head
        self._device = device
        self._precision = precision
        self._one_at_a_time = threading.Lock()
        self.batch = batch

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
        pixels, placements = letterboxed(images, self._head.image_size)
        with self._one_at_a_time, torch.inference_mode(), in_precision(self._device, self._precision):
            answers, embeddings, level = self._forward.answers(torch.from_numpy(pixels).to(self._device), score_floor)
            found, vectors = [answer.cpu().numpy() for answer in answers], embeddings.cpu().numpy()
            maps = None if level is None else level.cpu().numpy()
        inferences = [
            sparse_inference(detections, placement, vector)
            for detections, placement, vector in zip(found, placements, vectors, strict=True)
        ]
        return inferences if maps is None else with_objects(inferences, placements, maps, self._head.image_size)


class TorchvisionForward(nn.Module):
    """(1, S, S, 3) uint8 RGB and a score floor () → detections (n, 6 + C), embeddings (1, d) and, with `objects`, the
    map (1, c, h, w) for embeddings of objects, all float32; exports to a graph.

    detections: box `xyxy` in pixels of the square, score, class with 0 for the background, and what the place scored
    for each of the C classes.
    """

    def __init__(self, head: ModelHead, state: Mapping[str, Tensor], *, objects: bool = False) -> None:
        super().__init__()
        network = torchvision_network(str(head.architecture.get("builder")), len(head.labels), head.image_size, state)
        checked_dim(head, torchvision_embedding_dim(network, head.image_size))
        backbone: Any = network.backbone
        torchvision_body(network).register_forward_hook(self._keep_body)
        backbone.register_forward_hook(self._keep_levels)
        self._scores = (TwoStageScores if hasattr(network, "roi_heads") else OneStageScores)(network)
        self._body: list[Tensor] = []
        self._levels: list[Tensor] = []
        self.network = network
        self._size = head.image_size
        self._objects = objects
        # Faster R-CNN keeps its limits on its second stage.
        self._limits: list[Any] = [getattr(network, "roi_heads", network)]
        self._limits[0].detections_per_img = MAX_DETECTIONS

    def forward(self, images: Tensor, floor: Tensor) -> tuple[Tensor, ...]:
        answers, embeddings, level = self.answers(images, floor)
        return (answers[0], embeddings) if level is None else (answers[0], embeddings, level)

    def answers(self, images: Tensor, floor: Tensor | float) -> tuple[list[Tensor], Tensor, Tensor | None]:
        """The detections of each image, the embeddings (n, d), and the map for embeddings of objects."""
        self._limits[0].score_thresh = floor
        answers = self.network(list(images.permute(0, 3, 1, 2).float() / 255.0))
        levels, self._levels = self._levels, []
        body, self._body = self._body, []
        level = level_of_8_pixels(levels, self._size).float() if self._objects else None
        found = [_columns(*pair) for pair in zip(answers, self._scores.taken(), strict=True)]
        return found, pooled(level_of_8_pixels(body, self._size)), level

    def _keep_body(self, _module: object, _inputs: object, maps: Mapping[str, Tensor]) -> None:
        self._body = list(maps.values())

    def _keep_levels(self, _module: object, _inputs: object, maps: Mapping[str, Tensor]) -> None:
        self._levels = feature_levels(maps)


def _columns(answer: Mapping[str, Tensor], places: Tensor) -> Tensor:
    scores, labels = answer["scores"].float(), answer["labels"]
    classes = class_scores_of(places, scores, labels)
    return torch.cat([answer["boxes"].float(), scores[:, None], labels[:, None].float(), classes], dim=1)
