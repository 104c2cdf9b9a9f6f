"""Graphs in OpenVINO, on a CPU."""

import queue
import re
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import openvino
from numpy.typing import NDArray

from loop.domain.errors import BadWeights
from serving.backends.graph_detector import Outputs, failed, inputs_of, outputs_among

# The binding sets itself up at its first look at an element type, and two threads that look first at the same time
# wait for each other for ever (one holds the interpreter's lock, the other that of the set-up). So look here, once.
openvino.Type.f32.to_dtype()

_HINTS = {"fp32": openvino.Type.f32, "bf16": openvino.Type.bf16, "fp16": openvino.Type.f16, "int8": openvino.Type.f32}
_ROUNDED = ("bf16", "fp16")
_CAPABILITIES = {"bf16": "BF16", "fp16": "FP16", "int8": "INT8"}
# Of a YOLO graph, by the names that the exporter gives: what stays in float32 where the rest is bf16 or fp16. The
# weights of the first convolution meet pixels that are alike over whole regions, so that their rounding adds up instead
# of averaging out; the class branches decide which box survives NMS. Measured (docs/adr/0012-bf16-in-parts.md), at
# 640 pixels: without both 98.8 % of detections match and scores are off by up to 0.035, with them 99.7 % and 0.006.
_IN_FULL = re.compile(r"/network/model\.0/|/network/model\.\d+/cv3\.")

# A graph with marks, in one piece: this head, with the bytes of OpenVINO's text, the text, its weights.
_MAGIC = b"askance-openvino"
_MARKED = struct.Struct(f"<{len(_MAGIC)}sQ")


class OpenvinoSession:
    """A `Session`. One image per stream and infer request: on a CPU larger batches gain nothing, and streams that share
    nothing use all cores."""

    batch = 1

    def __init__(self, artifact: bytes, *, image_size: int, streams: int, precision: str, sparse: bool) -> None:
        """artifact: what `prepared` gave for this precision."""
        self.streams = streams
        self._sparse = sparse
        core = openvino.Core()
        try:
            model = _read(core, artifact)
            if not sparse:
                model.reshape({"images": [1, image_size, image_size, 3]})
            compiled = core.compile_model(
                model,
                "CPU",
                {
                    "NUM_STREAMS": streams,
                    "INFERENCE_NUM_THREADS": streams,
                    "INFERENCE_PRECISION_HINT": _HINTS[precision],
                    # Other processes of the service want the same cores.
                    "ENABLE_CPU_PINNING": False,
                },
            )
        except Exception as error:
            raise _unreadable(error) from error
        self._names = outputs_among({name for output in compiled.outputs for name in output.names})
        self._idle: queue.SimpleQueue[openvino.InferRequest] = queue.SimpleQueue()
        for _ in range(streams):
            self._idle.put(compiled.create_infer_request())

    @contextmanager
    def run(self, images: NDArray[np.uint8], floor: float) -> Iterator[Outputs]:
        request = self._idle.get()
        try:
            yield self._answer(request, images, floor)
        finally:
            self._idle.put(request)

    def _answer(self, request: openvino.InferRequest, images: NDArray[np.uint8], floor: float) -> Outputs:
        try:
            # Neither the image nor the answer is copied: both live until the request is idle again.
            answers = request.infer(inputs_of(images, floor, self._sparse), share_inputs=True, share_outputs=True)
            return Outputs(*(answers[name] for name in self._names))
        except Exception as error:
            raise failed("OpenVINO", error) from error


def prepared(graph: bytes, precision: str) -> bytes:
    """What a session opens: the ONNX graph itself; for bf16 and fp16 in OpenVINO's format, with a mark on what is to be
    computed in float32 whatever the precision of the rest. Raises BadWeights.

    OpenVINO's files have that mark where its binding has not. A version that does not know it loads the model all the
    same; parity with torch decides what serves.
    """
    if precision not in _ROUNDED:
        return graph
    try:
        return _marked(graph)
    except Exception as error:  # OSError, too: a full disk leaves the other runtimes
        raise _unreadable(error) from error


def _marked(graph: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.xml"
        openvino.save_model(openvino.Core().read_model(graph, b""), path, compress_to_fp16=False)
        tree = ElementTree.parse(path)  # noqa: S314 - written by the line before
        for layer in tree.iter("layer"):
            if _IN_FULL.search(layer.get("name", "")):
                marks = layer.find("rt_info")
                marks = ElementTree.SubElement(layer, "rt_info") if marks is None else marks
                ElementTree.SubElement(marks, "attribute", name="precise", version="0")
        text = ElementTree.tostring(tree.getroot())
        return _MARKED.pack(_MAGIC, len(text)) + text + path.with_suffix(".bin").read_bytes()


def _read(core: openvino.Core, artifact: bytes) -> openvino.Model:
    if not artifact.startswith(_MAGIC):
        return core.read_model(artifact, b"")
    _, length = _MARKED.unpack_from(artifact)
    end = _MARKED.size + length
    return core.read_model(artifact[_MARKED.size : end], artifact[end:])


def _unreadable(error: Exception) -> BadWeights:
    """OpenVINO raises RuntimeError for whatever it cannot read."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return BadWeights(f"OpenVINO cannot load the graph: {lines[-1][:300]}")


def supported_precisions() -> tuple[str, ...]:
    """fp32, and those of bf16, fp16 and int8 that this CPU computes in hardware."""
    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("fp32", *(precision for precision, name in _CAPABILITIES.items() if name in capabilities))
