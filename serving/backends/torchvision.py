"""Detectors of torchvision: Faster R-CNN, RetinaNet, FCOS, SSDlite."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from loop.domain.errors import Unavailable
from loop.domain.model import ModelHead
from loop.domain.prediction import Inference
from serving.backends.letterbox import Placement, letterboxed
from serving.backends.pooling import pooled
from serving.backends.runtime import on_device
from training.networks import feature_levels, torchvision_network

MAX_DETECTIONS = 300


class TorchvisionDetector:
    """A `Detector`. NMS is torchvision's own, per class, at each architecture's default overlap.

    torchvision answers with one score per detection, not with the scores of all classes: `class_scores` holds
    that score at its class and 0 elsewhere, so signals that compare classes (margin) see no rival.
    """

    def __init__(self, head: ModelHead, state: Mapping[str, Tensor], *, device: str, threads: int) -> None:
        network = torchvision_network(str(head.architecture.get("builder")), len(head.labels), head.image_size, state)
        self._network = on_device(network, device, threads)
        self._head = head
        self._device = device
        self._levels: list[Tensor] = []
        backbone: Any = self._network.backbone
        backbone.register_forward_hook(self._keep_levels)
        # Faster R-CNN keeps its limits on its second stage.
        self._limits: Any = getattr(self._network, "roi_heads", self._network)
        self._limits.detections_per_img = MAX_DETECTIONS

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
        self._limits.score_thresh = score_floor
        with torch.inference_mode():
            answers = self._network(list(batch.to(self._device)))
            embeddings = pooled(self._levels).cpu()
            self._levels = []
            return [
                self._inference(answer, placement, embedding)
                for answer, placement, embedding in zip(answers, placements, embeddings, strict=True)
            ]

    def _keep_levels(self, _module: object, _inputs: object, maps: Mapping[str, Tensor]) -> None:
        self._levels = feature_levels(maps)

    def _inference(self, answer: Mapping[str, Tensor], placement: Placement, embedding: Tensor) -> Inference:
        scores, boxes = answer["scores"].float().cpu(), answer["boxes"].float().cpu()
        if not all(bool(torch.isfinite(part).all()) for part in (scores, boxes, embedding)):
            raise Unavailable("the model answered with values that are not finite.", hint="Roll back to another.")
        classes = answer["labels"].cpu() - 1  # 0 is the background
        boxes = placement.restored(boxes)
        solid = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]) & (classes >= 0)
        order = torch.argsort(scores, descending=True, stable=True)
        order = order[solid[order]][:MAX_DETECTIONS]
        scores, classes = scores[order], classes[order]
        class_scores = torch.zeros(len(order), len(self.labels))
        class_scores[torch.arange(len(order)), classes] = scores
        return Inference(
            boxes=boxes[order].numpy(),
            scores=scores.numpy(),
            classes=classes.numpy(),
            class_scores=class_scores.numpy(),
            embedding=embedding.numpy().copy(),
        )
