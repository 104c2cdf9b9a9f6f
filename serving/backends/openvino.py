"""Graphs in OpenVINO, on a CPU."""

import queue
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import openvino
from numpy.typing import NDArray

from loop.domain.errors import BadWeights
from serving.backends.graph_detector import Outputs, failed, inputs_of

# The binding sets itself up at its first look at an element type, and two threads that look first at the same time
# wait for each other for ever (one holds the interpreter's lock, the other that of the set-up). So look here, once.
openvino.Type.f32.to_dtype()

_HINTS = {"fp32": openvino.Type.f32, "bf16": openvino.Type.bf16, "fp16": openvino.Type.f16, "int8": openvino.Type.f32}
_CAPABILITIES = {"bf16": "BF16", "fp16": "FP16", "int8": "INT8"}


class OpenvinoSession:
    """A `Session`. One image per stream and infer request: on a CPU larger batches gain nothing, and streams that share
    nothing use all cores."""

    batch = 1

    def __init__(self, graph: bytes, *, image_size: int, streams: int, precision: str, sparse: bool) -> None:
        self.streams = streams
        self._sparse = sparse
        core = openvino.Core()
        try:
            model = core.read_model(graph, b"")
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
        except Exception as error:  # OpenVINO raises RuntimeError for whatever it cannot read
            raise BadWeights(f"OpenVINO cannot load the graph: {str(error).strip().splitlines()[-1][:300]}") from error
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
            return Outputs(answers["detections"], answers["embeddings"])
        except Exception as error:
            raise failed("OpenVINO", error) from error


def supported_precisions() -> tuple[str, ...]:
    """fp32, and those of bf16, fp16 and int8 that this CPU computes in hardware."""
    capabilities = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("fp32", *(precision for precision, name in _CAPABILITIES.items() if name in capabilities))
