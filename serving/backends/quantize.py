"""A graph in int8: convolutions between a quantising and a dequantising node, with ranges seen on real images."""

import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from loop.domain.errors import BadWeights
from serving.backends.graph_detector import inputs_of
from training.letterbox import letterboxed

_LAYER = re.compile(r"/network/model\.(\d+)/")


def quantized(graph: bytes, images: Sequence[NDArray[np.uint8]], image_size: int, *, sparse: bool) -> bytes:
    """The graph with its convolutions in int8, all but those of a YOLO head, whose outputs are boxes and scores.

    images: (H, W, 3) RGB uint8, like those it will serve: they fix the ranges. Raises BadWeights.
    """
    model = onnx.load_from_string(graph)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "graph.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(graph)
        try:
            quantize_static(
                source,
                target,
                _Calibration(images, image_size, sparse),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_exclude=_head_nodes(model),
                calibrate_method=CalibrationMethod.MinMax,
            )
            return target.read_bytes()
        except Exception as error:  # of onnxruntime and onnx, by whatever they cannot read
            raise BadWeights(f"the graph cannot be quantised: {error}", hint="Choose another precision.") from error


def _head_nodes(model: onnx.ModelProto) -> list[str]:
    """The nodes of the last numbered layer, which is the head of an ultralytics network."""
    layers = {node.name: int(found[1]) for node in model.graph.node if (found := _LAYER.match(node.name))}
    last = max(layers.values(), default=0)
    return [name for name, layer in layers.items() if layer == last]


class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, images: Sequence[NDArray[np.uint8]], image_size: int, sparse: bool) -> None:
        self._feeds = self._inputs(images, image_size, sparse)

    def get_next(self) -> dict[str, NDArray[np.generic]] | None:
        return next(self._feeds, None)

    @staticmethod
    def _inputs(
        images: Sequence[NDArray[np.uint8]], image_size: int, sparse: bool
    ) -> Iterator[dict[str, NDArray[np.generic]]]:
        for image in images:
            pixels, _ = letterboxed([image], image_size)
            yield inputs_of(pixels, 0.05, sparse)
