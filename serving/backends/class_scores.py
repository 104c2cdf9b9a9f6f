"""What each place of an image scored for every class, of torchvision's detectors.

They answer with one score for each detection, and drop what its place scored for the other classes, without which
nothing can be told of how sure they are of the class. The heads' scores are kept beside and found again.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torchvision.models.detection.ssd import SSD

# Places that any class scored high; of more than a thousand a level torchvision's detectors look at no other.
_MOST_PLACES = 5000


def class_scores_of(places: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
    """(n, C) of detections with `scores` (n,) and `labels` (n,), 0 the background. places: (A, 1 + C) in [0, 1].

    A detection is of the place that scored exactly as much for its class; of several the first.
    """
    if places.shape[0] > _MOST_PLACES:
        places = places[places[:, 1:].amax(dim=1).topk(_MOST_PLACES).indices]
    distance = (places.index_select(1, labels) - scores[None, :]).abs()
    return places.index_select(0, distance.argmin(dim=0))[:, 1:]


class TwoStageScores:
    """Of Faster R-CNN: its second stage's, by region."""

    def __init__(self, network: nn.Module) -> None:
        self._regions: list[int] = []
        self._logits: list[Tensor] = []
        stages: Any = network
        stages.rpn.register_forward_hook(self._keep_regions)
        stages.roi_heads.box_predictor.register_forward_hook(self._keep_logits)

    def taken(self) -> Sequence[Tensor]:
        """(R, 1 + C) of each image of the last pass."""
        (logits,), self._logits = self._logits, []
        scores = logits.softmax(-1).float()
        if len(self._regions) == 1:  # so that a graph need not be told how many
            return [scores]
        split: Sequence[Tensor] = scores.split(self._regions)  # type: ignore[no-untyped-call]
        return split

    def _keep_regions(self, _module: object, _inputs: object, output: tuple[Sequence[Tensor], object]) -> None:
        self._regions = [len(regions) for regions in output[0]]

    def _keep_logits(self, _module: object, _inputs: object, output: tuple[Tensor, Tensor]) -> None:
        self._logits = [output[0]]


class OneStageScores:
    """Of SSDlite, whose classes exclude each other, RetinaNet, whose do not, and FCOS, which also judges how well a
    place lies: as each of them scores."""

    def __init__(self, network: nn.Module) -> None:
        self._answer: list[Mapping[str, Tensor]] = []
        self._exclusive = isinstance(network, SSD)
        head: Any = network.head
        head.register_forward_hook(self._keep)

    def taken(self) -> Sequence[Tensor]:
        """(A, 1 + C) of each image of the last pass."""
        (answer,), self._answer = self._answer, []
        logits = answer["cls_logits"]
        if self._exclusive:
            return list(logits.softmax(-1).float())
        scores = logits.sigmoid()
        if "bbox_ctrness" in answer:
            scores = (scores * answer["bbox_ctrness"].sigmoid()).sqrt()
        return list(scores.float())

    def _keep(self, _module: object, _inputs: object, output: Mapping[str, Tensor]) -> None:
        self._answer = [output]
