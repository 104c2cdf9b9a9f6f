"""Graphs in onnxruntime, on a CPU or a CUDA device."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from loop.domain.errors import BadWeights
from serving.backends.graph_detector import Outputs, failed, inputs_of, outputs_among


class OnnxSession:
    """A `Session`. On a CPU each stream computes in its caller's thread, one image at a time: that wastes nothing on
    handing work over. On a GPU one stream takes batches."""

    def __init__(self, graph: bytes, *, device: str, streams: int, batch: int, sparse: bool) -> None:
        on_cpu = device == "cpu"
        self.streams = streams if on_cpu else 1
        self.batch = 1 if on_cpu or sparse else batch
        self._sparse = sparse
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.inter_op_num_threads = 1
        if on_cpu:
            options.intra_op_num_threads = 1
        if self.batch == 1 and not sparse:
            options.add_free_dimension_override_by_name("n", 1)
        try:
            self._session = onnxruntime.InferenceSession(graph, options, providers=[_provider(device)])
        except BadWeights:
            raise
        except Exception as error:  # onnxruntime raises classes of its own, by kind of damage
            raise BadWeights(f"onnxruntime cannot load the graph: {str(error).splitlines()[0][:300]}") from error
        self._names = outputs_among({output.name for output in self._session.get_outputs()})

    @contextmanager
    def run(self, images: NDArray[np.uint8], floor: float) -> Iterator[Outputs]:
        try:
            answers = self._session.run(self._names, inputs_of(images, floor, self._sparse))
        except Exception as error:
            raise failed("onnxruntime", error) from error
        yield Outputs(*answers)


def _provider(device: str) -> tuple[str, dict[str, str]] | str:
    if device == "cpu":
        return "CPUExecutionProvider"
    if device.startswith("cuda") and "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        return ("CUDAExecutionProvider", {"device_id": device.partition(":")[2] or "0"})
    raise BadWeights(
        f"the installed onnxruntime cannot run on {device!r}.",
        hint="Install onnxruntime-gpu in place of onnxruntime, set the device to cpu, or choose another runtime.",
        device=device,
    )
