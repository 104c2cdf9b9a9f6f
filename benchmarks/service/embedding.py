"""What the embedding costs: a forward pass with both outputs beside one with the detections only."""

import time
from collections.abc import Callable
from statistics import median

import numpy as np
import onnx
import openvino
from onnx.utils import Extractor

from benchmarks.report import Figure, at_most
from serving.backends.graph import graph_of

BAR = 1.03


def embedding_for_free(weights: bytes, size: int, *, pairs: int) -> Figure:
    """`pairs` of passes in turn, in either order; the ratio of the medians. Both graphs run on OpenVINO in float32 on
    all cores."""
    _, both = graph_of(weights)
    alone = Extractor(onnx.load_from_string(both)).extract_model(["images"], ["detections"]).SerializeToString()
    image = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), dtype=np.uint8)
    passes = [_pass(graph, image) for graph in (both, alone)]
    taken: tuple[list[float], list[float]] = ([], [])
    for number in range(2 * pairs):
        for index in ((0, 1), (1, 0))[number % 2]:
            begun = time.perf_counter()
            passes[index]()
            taken[index].append(time.perf_counter() - begun)
    ratio = median(taken[0][10:]) / median(taken[1][10:])
    return at_most(f"forward with both outputs ÷ detections only, {size} px", ratio, BAR, "ratio", len(taken[0]))


def _pass(graph: bytes, image: np.ndarray) -> Callable[[], object]:
    core = openvino.Core()
    model = core.read_model(graph)
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"})
    request = compiled.create_infer_request()
    return lambda: request.infer({"images": image})
