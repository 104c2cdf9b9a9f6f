"""Graphs in TensorRT 10, on an NVIDIA GPU. Needs the extra `tensorrt`; torch holds the memory on the device."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import tensorrt
import torch
from numpy.typing import NDArray

from loop.domain.errors import BadWeights
from serving.backends.graph_detector import Outputs, failed, outputs_among

_WORKSPACE = 2 << 30  # bytes an engine may use while it computes; more changes nothing for detectors
_logger = tensorrt.Logger(tensorrt.Logger.ERROR)


def engine_of(graph: bytes, *, device: str, image_size: int, batch: int, precision: str) -> bytes:
    """The serialised engine of a dense graph for 1 to `batch` images, built for the GPU `device` and for no other.

    Takes minutes. precision: fp32 | fp16 | bf16 | int8 (a graph that is quantised already). Raises BadWeights.
    """
    with torch.cuda.device(device):
        builder = tensorrt.Builder(_logger)
        network = builder.create_network(0)
        parser = tensorrt.OnnxParser(network, _logger)
        if not parser.parse(graph):
            reasons = "; ".join(str(parser.get_error(index)) for index in range(parser.num_errors))
            raise BadWeights(f"TensorRT cannot read the graph: {reasons[:300]}", hint="Choose another runtime.")
        config = builder.create_builder_config()
        config.set_memory_pool_limit(tensorrt.MemoryPoolType.WORKSPACE, _WORKSPACE)
        for name in _flags(precision):
            config.set_flag(getattr(tensorrt.BuilderFlag, name))
        profile = builder.create_optimization_profile()
        one, most = (1, image_size, image_size, 3), (batch, image_size, image_size, 3)
        profile.set_shape("images", one, most, most)
        config.add_optimization_profile(profile)
        plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise BadWeights("TensorRT cannot build an engine of the graph.", hint="Choose another runtime or precision.")
    return bytes(plan)


def _flags(precision: str) -> tuple[str, ...]:
    """The builder's flags. What has no kernel in a lower precision stays in float32."""
    return {"fp32": (), "fp16": ("FP16",), "bf16": ("BF16",), "int8": ("INT8", "FP16")}[precision]


class TensorrtSession:
    """A `Session` with one stream that takes batches. Callers beyond it wait."""

    streams = 1

    def __init__(self, engine: bytes, *, device: str, batch: int) -> None:
        self.batch = batch
        self._device = torch.device(device)
        self._one_at_a_time = threading.Lock()
        with torch.cuda.device(self._device):
            self._runtime = tensorrt.Runtime(_logger)
            self._engine = self._runtime.deserialize_cuda_engine(engine)
            if self._engine is None:
                raise BadWeights("TensorRT cannot load the engine.", hint="It was built for another GPU or version.")
            tensors = [self._engine.get_tensor_name(index) for index in range(self._engine.num_io_tensors)]
            self._names = outputs_among(tensors)
            self._context = self._engine.create_execution_context()
            self._stream = torch.cuda.Stream(self._device)  # type: ignore[no-untyped-call]

    @contextmanager
    def run(self, images: NDArray[np.uint8], floor: float) -> Iterator[Outputs]:
        with self._one_at_a_time:
            try:
                answers = self._answers(images)
            except (RuntimeError, ValueError) as error:
                raise failed("TensorRT", error) from error
        yield Outputs(*answers)

    def _answers(self, images: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        with torch.cuda.device(self._device), torch.cuda.stream(self._stream):
            pixels = torch.from_numpy(images).to(self._device, non_blocking=True)
            self._context.set_input_shape("images", tuple(pixels.shape))
            self._context.set_tensor_address("images", pixels.data_ptr())
            outputs = [self._output(name) for name in self._names]
            if not self._context.execute_async_v3(self._stream.cuda_stream):
                raise RuntimeError("the engine could not be run")
            return [output.cpu().numpy() for output in outputs]

    def _output(self, name: str) -> torch.Tensor:
        output = torch.empty(tuple(self._context.get_tensor_shape(name)), dtype=torch.float32, device=self._device)
        self._context.set_tensor_address(name, output.data_ptr())
        return output
