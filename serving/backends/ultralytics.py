"""YOLO detectors of ultralytics in torch: boxes, class scores and the embedding from one forward pass."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from loop.domain.model import ModelHead
from loop.domain.prediction import Inference
from serving.backends.candidates import dense_inference
from serving.backends.objects import with_objects
from serving.backends.pooling import checked_dim, pooled
from serving.backends.runtime import in_precision, on_device
from training.letterbox import letterboxed
from training.networks import body_layer, detect_head, level_of_8_pixels, ultralytics_network


class UltralyticsDetector:
    """A `Detector`. End-to-end models (v10, YOLO26) answer with their one-to-many head, which keeps class vectors.

    NMS is per class and has no time limit (ultralytics' own drops the rest of a batch after one).
    """

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
        self._network = on_device(UltralyticsForward(head, state, objects=objects), device, threads)
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
            decoded, embeddings, *level = self._network(torch.from_numpy(pixels).to(self._device))
            rows, vectors = decoded.float().cpu().numpy(), embeddings.cpu().numpy()
            maps = level[0].cpu().numpy() if level else None
        answers = [
            dense_inference(row, placement, vector, score_floor)
            for row, placement, vector in zip(rows, placements, vectors, strict=True)
        ]
        return answers if maps is None else with_objects(answers, placements, maps, self._head.image_size)


class UltralyticsForward(nn.Module):
    """(n, S, S, 3) uint8 RGB → decoded (n, 4 + C, A), embeddings (n, d) and, with `objects`, the map (n, c, h, w) for
    embeddings of objects, all float32; exports to a graph.

    decoded: centre and size in pixels of the square, then class scores in [0, 1], of A anchors.
    """

    def __init__(self, head: ModelHead, state: Mapping[str, Tensor], *, objects: bool = False) -> None:
        super().__init__()
        network = ultralytics_network(head.architecture, len(head.labels), state)
        detection = detect_head(network)
        detection.end2end = False
        detection.dfl = _Distances(int(detection.reg_max))
        network.fuse(verbose=False)  # type: ignore[operator]
        layer, channels = body_layer(network)
        checked_dim(head, 2 * channels)
        layer.register_forward_hook(self._keep_body)
        detection.register_forward_pre_hook(self._keep_levels)
        self._body: list[Tensor] = []
        self._levels: list[Tensor] = []
        self._bytes = _takes_bytes(network)
        self._objects_of_size = head.image_size if objects else 0
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        pixels = images.permute(0, 3, 1, 2).float()
        decoded, _ = self.network(pixels if self._bytes else pixels / 255.0)
        levels, self._levels = self._levels, []
        body, self._body = self._body, []
        answers = decoded, pooled(body[0])
        if not self._objects_of_size:
            return answers
        return *answers, level_of_8_pixels(levels, self._objects_of_size).float()

    def _keep_body(self, _module: object, _inputs: object, output: Tensor) -> None:
        self._body = [output]

    def _keep_levels(self, _module: object, inputs: tuple[list[Tensor], ...]) -> None:
        self._levels = list(inputs[0])


def _takes_bytes(network: nn.Module) -> bool:
    """Let the first convolution take pixels in [0, 255] where there were to be [0, 1]; False where the network does
    not begin with one, and is left as it is.

    Whole numbers up to 256 are exact in bf16. The same in [0, 1] are rounded, which costs an embedding more than all
    arithmetic behind them.
    """
    first = getattr(network.model[0], "conv", None)  # type: ignore[index]
    if not isinstance(first, nn.Conv2d):
        return False
    with torch.no_grad():
        first.weight /= 255.0
    return True


class _Distances(nn.Module):
    """The expected distance of each side (Li et al., Generalized Focal Loss, NeurIPS 2020), always in float32.

    ultralytics computes it by a convolution, which runtimes of lower precision round to whole fractions of a
    stride: boxes of large objects then miss by pixels.
    """

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.bins = bins
        self.register_buffer("distances", torch.arange(bins, dtype=torch.float32).view(1, 1, bins, 1), persistent=False)

    def forward(self, sides: Tensor) -> Tensor:
        """(n, 4 * bins, A) logits, or plain distances for one bin → (n, 4, A)."""
        sides = sides.float()
        if self.bins <= 1:
            return sides
        distances: Any = self.distances
        logits = sides.view(sides.shape[0], 4, self.bins, sides.shape[2])
        expected: Tensor = (logits.softmax(2) * distances).sum(2)
        return expected
