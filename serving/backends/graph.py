"""From a model file to a graph: ONNX with two outputs, detections and embedding, of one forward pass; with a third, the
feature map for embeddings of objects, only where those are asked for.

Input "images": (n, S, S, 3) uint8 RGB, letterboxed; scaling is part of the graph. Outputs "detections", "embeddings"
and "features" are those of `UltralyticsForward` or, for one image at a time and with the score floor as a second input
"floor", of `TorchvisionForward`.
"""

import contextlib
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.jit._trace import TracerWarning

from loop.domain.errors import BadWeights
from loop.domain.model import ModelHead
from serving.backends.graph_detector import OUTPUTS
from training.weights import read_weights

_OPSET = 17
_exporting = threading.RLock()  # torch keeps the state of an export in module globals


def graph_of(content: bytes, *, objects: bool = False) -> tuple[ModelHead, bytes]:
    """The head and the ONNX graph (float32) of a model file, with the output "features" where `objects`; raises
    BadWeights, also for an architecture that cannot be exported."""
    head, state = read_weights(content)
    size = head.image_size
    if head.backend == "ultralytics":
        from serving.backends.ultralytics import UltralyticsForward

        # Two images: an exporter that sees one may take the batch for a constant.
        images = torch.zeros(2, size, size, 3, dtype=torch.uint8)
        dense = UltralyticsForward(head, state, objects=objects)
        axes = {name: {0: "n"} for name in ("images", *_outputs(objects))}
        return head, _exported(dense, (images,), ["images"], _outputs(objects), axes, head)
    if head.backend == "torchvision":
        from serving.backends.torchvision import TorchvisionForward

        # Not blank: the export should see some candidates.
        images = torch.randint(
            0, 256, (1, size, size, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
        )
        arguments = (images, torch.tensor(0.0))
        axes = {"detections": {0: "found"}}
        with _nms_without_branches(size):
            sparse = TorchvisionForward(head, state, objects=objects)
            return head, _exported(sparse, arguments, ["images", "floor"], _outputs(objects), axes, head)
    raise BadWeights(
        f"the model file wants the backend {head.backend!r}, which is not known here.",
        hint="Known backends: torchvision, ultralytics. Update this service if the file is from a newer one.",
        backend=head.backend,
    )


def _outputs(objects: bool) -> Sequence[str]:
    return OUTPUTS if objects else OUTPUTS[:-1]


@contextlib.contextmanager
def _nms_without_branches(size: int) -> Iterator[None]:
    """torchvision's detectors with an NMS that asks nothing of its input.

    torchvision's own has a branch for no boxes, which OpenVINO answers with one stale box, and spreads the classes by
    the largest coordinate, which has none then. Boxes are clipped to the square of `size` before, so that this answers
    the same, also to a detector that runs meanwhile.
    """
    from torchvision.ops import boxes as box_ops

    def batched_nms(boxes: Tensor, scores: Tensor, classes: Tensor, overlap: float) -> Tensor:
        apart = classes.to(boxes) * (size + 1)
        kept: Tensor = box_ops.nms(boxes + apart[:, None], scores, overlap)
        return kept

    with _exporting:
        before = box_ops.batched_nms
        box_ops.batched_nms = batched_nms
        try:
            yield
        finally:
            box_ops.batched_nms = before


def _exported(
    forward: nn.Module,
    arguments: tuple[Tensor, ...],
    inputs: Sequence[str],
    outputs: Sequence[str],
    axes: dict[str, dict[int, str]],
    head: ModelHead,
) -> bytes:
    try:
        with (
            _exporting,
            torch.inference_mode(),
            tempfile.TemporaryDirectory() as folder,
            warnings.catch_warnings(),
        ):
            path = Path(folder) / "graph.onnx"
            # The tracing exporter is deprecated, but the other one needs one more package and takes ten times as
            # long; and tracing warns of every Python number that becomes a constant, which is what is wanted.
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            warnings.filterwarnings("ignore", category=TracerWarning)
            warnings.filterwarnings("ignore", category=FutureWarning, message=".*torch.jit.script")
            warnings.filterwarnings("ignore", category=UserWarning, module=r"torch\.onnx|torchvision\.")
            forward.eval().requires_grad_(False)
            forward(*arguments)  # builds what networks keep after their first pass (anchors), outside the trace
            torch.onnx.export(
                forward,
                arguments,
                path,
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_axes=axes,
                opset_version=_OPSET,
                dynamo=False,
            )
            return path.read_bytes()
    except Exception as error:  # of torch's exporter and whatever layer cannot be traced
        raise BadWeights(
            f"the {head.backend} model cannot be exported to a graph: {_first_line(error)}",
            hint="Serve it with the runtime torch.",
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__
