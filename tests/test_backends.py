"""What every detector backend keeps to, on networks with random weights."""

import functools
import re
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from loop.domain.errors import BadWeights, Unavailable
from loop.domain.geometry import iou_matrix
from loop.domain.model import ModelHead
from loop.domain.ports import Detector
from loop.domain.prediction import MOST_OBJECTS, OBJECT_DIM, Inference
from serving.backends.candidates import MAX_DETECTIONS, NMS_IOU
from serving.backends.graph import graph_of
from serving.backends.load import load_detector
from serving.backends.objects import box_means, projected
from serving.backends.quantize import quantized
from serving.backends.runtimes import REFERENCE, RUNTIMES, Candidate, Place, installed, opened, prepared
from tests.requirements import require_data
from tests.tiny_models import ARCHITECTURE, tiny_weights
from training import networks
from training.head import read_head
from training.letterbox import letterboxed
from training.weights import adopt, read_weights, write_weights

Image = NDArray[np.uint8]
LABELS = ("circle", "square", "bar")
SIZE = 96
# Random weights score low everywhere: a floor below that makes every network answer with many boxes.
FLOOR = 0.0005


@functools.cache
def yolo() -> bytes:
    return _spread(tiny_weights(LABELS, image_size=SIZE))


@functools.cache
def end_to_end() -> bytes:
    """As YOLO26: two heads, of which one answers without NMS, and boxes without a distribution."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "end2end.yaml"
        path.write_text(yaml.safe_dump({**ARCHITECTURE, "end2end": True, "reg_max": 1}))
        return _spread(adopt(path, labels=LABELS, image_size=SIZE))


def _spread(content: bytes) -> bytes:
    """The same model with a head that tells places and classes apart and draws small boxes."""
    head, state = read_weights(content)
    generator = torch.Generator().manual_seed(0)
    for name, tensor in state.items():
        if ".cv3." in name and tensor.ndim == 4 and tensor.shape[0] == len(LABELS):
            state[name] = torch.randn(tensor.shape, generator=generator)
        if ".cv2." in name and name.endswith(".2.bias"):
            bins = tensor.reshape(4, -1).clone().zero_()
            bins[:, min(1, bins.shape[1] - 1)] = 8.0 if bins.shape[1] > 1 else 1.0
            state[name] = bins.flatten()
    return write_weights(head, state)


@functools.cache
def torchvision(builder: str) -> bytes:
    network = networks.torchvision_network(builder, len(LABELS), SIZE)
    dim = networks.torchvision_embedding_dim(network, SIZE)
    head = ModelHead(
        backend="torchvision", architecture={"builder": builder}, labels=LABELS, image_size=SIZE, embedding_dim=dim
    )
    return write_weights(head, network.state_dict())


BACKENDS: dict[str, Callable[[], bytes]] = {
    "yolo": yolo,
    "yolo, end to end": end_to_end,
    "faster r-cnn": lambda: torchvision("fasterrcnn_mobilenet_v3_large_320_fpn"),
    "ssdlite": lambda: torchvision("ssdlite320_mobilenet_v3_large"),
    "retinanet": lambda: torchvision("retinanet_resnet50_fpn_v2"),
    "fcos": lambda: torchvision("fcos_resnet50_fpn"),
}
TORCHVISION = tuple(name for name in BACKENDS if "yolo" not in name)
GRAPH_RUNTIMES = (Candidate("onnx", "fp32"), Candidate("openvino", "fp32"))
SERVED = [(name, one, "cpu") for name in BACKENDS for one in (REFERENCE, *GRAPH_RUNTIMES)]
SERVED += [("yolo", Candidate("onnx", "int8"), "cpu"), ("yolo", Candidate("openvino", "bf16"), "cpu")]
# Whatever a GPU may be asked for; of torchvision's networks, what does not leave NMS to the graph.
ON_GPU = [Candidate(runtime, precision) for runtime, one in RUNTIMES.items() for precision in one.on_gpu]
SERVED += [("yolo", one, "cuda") for one in ON_GPU]
SERVED += [("faster r-cnn", one, "cuda") for one in ON_GPU if one.runtime == "torch"]
STREAMS = 2
# Whose rows are those of the background and of each class, for every anchor.
CLASS_LAYER = re.compile(
    r"(roi_heads.*cls_score|^head\.classification_head\.(cls_logits|module_list\.\d+\.1))\.(weight|bias)$"
)


@functools.cache
def exported(name: str, objects: bool = False) -> bytes:
    return graph_of(BACKENDS[name](), objects=objects)[1]


def require_gpu(candidate: Candidate) -> None:
    """Skips where this machine cannot run it. Also under ASKANCE_REQUIRE_ALL=1, which is for what can be installed."""
    if not torch.cuda.is_available():
        pytest.skip(f"{candidate} needs an NVIDIA GPU, and torch sees none")
    if not installed(candidate.runtime):
        pytest.skip(f"{candidate.runtime} is not installed")
    if candidate.runtime == "onnx" and "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime was built without CUDA")


def served(
    content: bytes, candidate: Candidate, graph: bytes, *, objects: bool = False, device: str = "cpu"
) -> Detector:
    """The model by that runtime and precision, whether or not its answers are good enough to serve."""
    if candidate.runtime == "torch":
        precision = candidate.precision
        return load_detector(content, device=device, threads=1, precision=precision, max_batch_size=4, objects=objects)
    head, place = read_head(content), Place(device, STREAMS, 4)
    if candidate.precision == "int8":
        graph = quantized(graph, images(*[(SIZE, SIZE)] * 4, seed=5), SIZE, sparse=False)
    return opened(candidate, head, prepared(candidate, head, graph, place), place)


def _called(one: tuple[str, Candidate, str]) -> str:
    name, candidate, device = one
    return f"{name}, {candidate}" + (f" on {device}" if device != "cpu" else "")


@pytest.fixture(scope="module", params=SERVED, ids=_called)
def detector(request: pytest.FixtureRequest) -> Detector:
    return _served(*request.param, objects=False)


def _served(name: str, candidate: Candidate, device: str, *, objects: bool) -> Detector:
    if device != "cpu":
        require_gpu(candidate)
    graph = exported(name, objects) if candidate.runtime != "torch" else b""
    return served(BACKENDS[name](), candidate, graph, objects=objects, device=device)


def images(*shapes: tuple[int, int], seed: int = 0) -> list[Image]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (height, width, 3), dtype=np.uint8) for height, width in shapes]


ODD = {
    "one pixel": images((1, 1))[0],
    "very wide": images((2, 3000))[0],
    "very tall": images((3000, 2))[0],
    "larger than the network": images((700, 900))[0],
    "all black": np.zeros((50, 60, 3), dtype=np.uint8),
    "grey": np.repeat(images((40, 80))[0][:, :, :1], 3, axis=2),
    "a view with negative strides": images((64, 48))[0][::-1, ::-1],
}


def assert_legal(inference: Inference, image: Image, detector: Detector) -> None:
    count, classes = len(inference.scores), len(detector.labels)
    assert inference.boxes.shape == (count, 4) and inference.boxes.dtype == np.float32
    assert inference.scores.shape == (count,) and inference.scores.dtype == np.float32
    assert inference.classes.shape == (count,) and inference.classes.dtype == np.int64
    assert inference.class_scores.shape == (count, classes) and inference.class_scores.dtype == np.float32
    assert inference.embedding.shape == (detector.embedding_dim,) and inference.embedding.dtype == np.float32
    assert np.linalg.norm(inference.embedding) == pytest.approx(1.0, abs=1e-5)
    height, width = image.shape[:2]
    left, top, right, bottom = inference.boxes.T
    assert (left >= 0).all() and (top >= 0).all() and (right <= width).all() and (bottom <= height).all()
    assert (left < right).all() and (top < bottom).all()
    assert (np.diff(inference.scores) <= 0).all()
    assert ((inference.class_scores >= 0) & (inference.class_scores <= 1)).all()
    assert ((inference.classes >= 0) & (inference.classes < classes)).all()
    assert np.array_equal(inference.class_scores.max(axis=1, initial=0), inference.scores)
    assert np.array_equal(inference.class_scores[np.arange(count), inference.classes], inference.scores)
    assert count <= MAX_DETECTIONS


def assert_equal(one: Inference, other: Inference) -> None:
    for name in ("boxes", "scores", "classes", "class_scores", "embedding"):
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


# --- every backend -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ODD)
def test_any_image_gets_a_legal_answer(detector: Detector, name: str) -> None:
    (inference,) = detector.predict([ODD[name]], score_floor=FLOOR)
    assert_legal(inference, ODD[name], detector)


def test_a_batch_is_answered_in_its_order_with_boxes_of_each_image(detector: Detector) -> None:
    batch = images((80, 60), (50, 200), (96, 96))
    answers = detector.predict(batch, score_floor=FLOOR)
    assert len(answers) == 3
    for inference, image in zip(answers, batch, strict=True):
        assert len(inference.scores) > 0
        assert_legal(inference, image, detector)


def test_an_answer_does_not_depend_on_the_batch_it_comes_in(detector: Detector) -> None:
    """Within 1e-4: kernels differ by batch size in the last bits."""
    batch = images((80, 60), (50, 200), (96, 96))
    together = detector.predict(batch, score_floor=FLOOR)
    for image, expected in zip(batch, together, strict=True):
        (alone,) = detector.predict([image], score_floor=FLOOR)
        assert alone.boxes.shape == expected.boxes.shape
        np.testing.assert_allclose(alone.scores, expected.scores, atol=1e-4)
        np.testing.assert_allclose(alone.embedding, expected.embedding, atol=1e-4)
        np.testing.assert_allclose(_sorted(alone.boxes), _sorted(expected.boxes), atol=1e-4 * max(image.shape))


def _sorted(boxes: NDArray[np.float32]) -> NDArray[np.float32]:
    return boxes[np.lexsort(boxes.round(1).T)]


def test_the_same_image_gets_the_same_answer(detector: Detector) -> None:
    (image,) = images((70, 90))
    (one,), (other,) = (detector.predict([image], score_floor=FLOOR) for _ in range(2))
    assert_equal(one, other)


def test_different_images_have_different_embeddings(detector: Detector) -> None:
    noise, black = detector.predict([images((96, 96))[0], ODD["all black"]], score_floor=FLOOR)
    assert not np.allclose(noise.embedding, black.embedding, atol=1e-4)


def test_nothing_below_the_score_floor_is_answered_and_an_empty_answer_is_legal(detector: Detector) -> None:
    (image,) = images((70, 90))
    (all_of_them,) = detector.predict([image], score_floor=FLOOR)
    middle = float(np.median(all_of_them.scores))
    (upper,) = detector.predict([image], score_floor=middle)
    assert (upper.scores >= middle).all() and len(upper.scores) <= len(all_of_them.scores)
    (none,) = detector.predict([image], score_floor=1.1)
    assert len(none.scores) == 0
    assert_legal(none, image, detector)


def test_no_images_are_no_answers(detector: Detector) -> None:
    assert detector.predict([], score_floor=FLOOR) == []


def test_images_are_not_changed(detector: Detector) -> None:
    (image,) = images((SIZE, SIZE))
    before = image.copy()
    detector.predict([image], score_floor=FLOOR)
    assert np.array_equal(image, before)


def test_a_detector_knows_its_labels(detector: Detector) -> None:
    assert detector.labels == LABELS


def test_as_many_callers_as_there_are_streams_and_more_get_what_each_would_get_alone(detector: Detector) -> None:
    assert detector.streams >= 1 and detector.batch >= 1
    batch = images(*[(60 + 7 * index, 90) for index in range(4 * detector.streams + 4)])
    alone = [detector.predict([image], score_floor=FLOOR)[0] for image in batch]
    together = threading.Barrier(detector.streams + 1)

    def call(image: Image) -> Inference:
        together.wait(timeout=60)
        return detector.predict([image], score_floor=FLOOR)[0]

    count = len(batch) // (detector.streams + 1) * (detector.streams + 1)
    with ThreadPoolExecutor(detector.streams + 1) as pool:
        for one, other in zip(pool.map(call, batch[:count]), alone, strict=False):
            assert_equal(one, other)


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("candidate", GRAPH_RUNTIMES, ids=str)
def test_a_graph_answers_as_torch_does(name: str, candidate: Candidate) -> None:
    """Embeddings to 1e-5 in each component, and the best score; boxes of near-equal scores may swap in NMS. The same
    box scores as much for every class."""
    batch = [ODD["larger than the network"], *images((96, 96), (40, 90))]
    reference = load_detector(BACKENDS[name](), threads=1).predict(batch, score_floor=FLOOR)
    answers = served(BACKENDS[name](), candidate, exported(name)).predict(batch, score_floor=FLOOR)
    for one, other in zip(answers, reference, strict=True):
        np.testing.assert_allclose(one.embedding, other.embedding, atol=1e-5)
        np.testing.assert_allclose(one.scores[:5], other.scores[:5], atol=1e-4)
        assert abs(len(one.scores) - len(other.scores)) <= 0.05 * len(other.scores)
        same = iou_matrix(one.boxes, other.boxes) > 0.9999
        same &= one.classes[:, None] == other.classes[None, :]
        mine, theirs = np.nonzero(same)
        assert len(mine) >= 5
        np.testing.assert_allclose(one.class_scores[mine], other.class_scores[theirs], atol=1e-3)


@pytest.mark.parametrize("candidate", [one for one in ON_GPU if one.precision != "int8"], ids=str)
def test_a_gpu_answers_as_the_processor_does(candidate: Candidate) -> None:
    """In float32 as closely as another runtime; in fewer bits by what it is sure of and by its embedding."""
    require_gpu(candidate)
    content = yolo()
    detector = served(content, candidate, exported("yolo"), device="cuda")
    reference = served(content, REFERENCE, b"")
    close = 1e-3 if candidate.precision == "fp32" else 2e-2
    for image in images((80, 60), (SIZE, SIZE), (200, 130)):
        (expected,), (found,) = (one.predict([image], score_floor=FLOOR) for one in (reference, detector))
        assert float(found.embedding @ expected.embedding) > 1 - close
        assert abs(float(found.scores[0]) - float(expected.scores[0])) < close


@pytest.mark.parametrize("candidate", [REFERENCE, *GRAPH_RUNTIMES, Candidate("openvino", "bf16")], ids=str)
def test_a_network_that_answers_with_nan_says_so(candidate: Candidate) -> None:
    head, state = read_weights(yolo())
    state["model.0.bn.running_var"].fill_(-1.0)  # finite weights, but their square root is not
    content = write_weights(head, state)
    with pytest.raises(Unavailable, match="not finite"):
        served(content, candidate, graph_of(content)[1]).predict(images((64, 64)), score_floor=FLOOR)


@pytest.mark.parametrize("candidate", GRAPH_RUNTIMES, ids=str)
def test_what_is_not_a_graph_is_refused(candidate: Candidate) -> None:
    with pytest.raises(BadWeights, match="cannot load the graph"):
        opened(candidate, read_head(yolo()), b"not a graph", Place("cpu", 1, 1))


# --- embeddings of objects -----------------------------------------------------------------------


@pytest.fixture(scope="module", params=SERVED, ids=_called)
def pair(request: pytest.FixtureRequest) -> tuple[Detector, Detector]:
    """One that gives embeddings of objects, and one that does not."""
    return _served(*request.param, objects=True), _served(*request.param, objects=False)


@pytest.mark.parametrize("name", ODD)
def test_the_most_certain_objects_have_an_embedding_and_nothing_else_differs(
    pair: tuple[Detector, Detector], name: str
) -> None:
    """Unit vectors of 128 numbers (zeros where int8 left nothing of the map); who does not ask gets none."""
    ((inference,), (plain,)) = (detector.predict([ODD[name]], score_floor=FLOOR) for detector in pair)
    assert plain.objects is None and inference.objects is not None
    assert inference.objects.shape == (min(MOST_OBJECTS, len(inference.scores)), OBJECT_DIM)
    assert inference.objects.dtype == np.float16
    lengths = np.linalg.norm(inference.objects.astype(np.float32), axis=1)
    assert ((np.abs(lengths - 1.0) < 2e-3) | (lengths == 0.0)).all()
    np.testing.assert_allclose(inference.boxes, plain.boxes, atol=1e-3 * max(ODD[name].shape))
    np.testing.assert_allclose(inference.scores, plain.scores, atol=1e-4)
    np.testing.assert_allclose(inference.embedding, plain.embedding, atol=1e-4)


def test_an_image_without_a_candidate_has_no_object(pair: tuple[Detector, Detector]) -> None:
    (none,) = pair[0].predict(images((70, 90)), score_floor=1.1)
    assert none.objects is not None and none.objects.shape == (0, OBJECT_DIM)


def test_embeddings_of_objects_do_not_depend_on_the_batch(pair: tuple[Detector, Detector]) -> None:
    batch = images((80, 60), (50, 200), (96, 96))
    together = pair[0].predict(batch, score_floor=FLOOR)
    for image, expected in zip(batch, together, strict=True):
        (alone,) = pair[0].predict([image], score_floor=FLOOR)
        np.testing.assert_allclose(_by_place(alone), _by_place(expected), atol=5e-3)


def _by_place(inference: Inference) -> NDArray[np.float16]:
    assert inference.objects is not None
    return inference.objects[np.lexsort(inference.boxes[: len(inference.objects)].round(1).T)]


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("candidate", [*GRAPH_RUNTIMES, Candidate("openvino", "bf16")], ids=str)
def test_objects_look_to_a_graph_as_they_look_to_torch(name: str, candidate: Candidate) -> None:
    """The same box has the same embedding, to a cosine of 0.999."""
    batch = [ODD["larger than the network"], *images((96, 96), (40, 90))]
    reference = load_detector(BACKENDS[name](), threads=1, objects=True).predict(batch, score_floor=FLOOR)
    answers = served(BACKENDS[name](), candidate, exported(name, True), objects=True).predict(batch, score_floor=FLOOR)
    pairs = 0
    for one, other in zip(answers, reference, strict=True):
        assert one.objects is not None and other.objects is not None
        same = iou_matrix(one.boxes[:MOST_OBJECTS], other.boxes[:MOST_OBJECTS]) > 0.99
        cosines = one.objects.astype(np.float32) @ other.objects.astype(np.float32).T
        pairs += int(same.sum())
        assert (cosines[same] >= 0.999).all()
    assert pairs >= 5


def sampled_mean(level: NDArray[np.float32], box: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of so many bilinear samples (n at each side) that their grid does not matter. box: in cells."""
    n, (_, height, width) = 60, level.shape
    xs = box[0] + (np.arange(n) + 0.5) / n * (box[2] - box[0])
    ys = box[1] + (np.arange(n) + 0.5) / n * (box[3] - box[1])
    grid = np.stack(np.meshgrid(2 * xs / width - 1, 2 * ys / height - 1), axis=-1)[None].astype(np.float32)
    samples = torch.nn.functional.grid_sample(
        torch.from_numpy(level)[None], torch.from_numpy(grid), padding_mode="border", align_corners=False
    )
    return np.asarray(samples.mean(dim=(2, 3))[0])


@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    sides=st.tuples(*[st.floats(0.0, 1.0)] * 4),
    seed=st.integers(0, 99),
)
def test_an_object_is_the_mean_of_what_is_interpolated_within_its_box(
    height: int, width: int, sides: tuple[float, ...], seed: int
) -> None:
    """As samples of the map say, also at its edges, for thin boxes, and on maps of one cell."""
    level = np.random.default_rng(seed).normal(size=(3, height, width)).astype(np.float32)
    (left, right), (top, bottom) = sorted(sides[:2]), sorted(sides[2:])
    box = np.array([left * width, top * height, right * width, bottom * height])
    box[2:] = np.maximum(box[2:], box[:2] + 0.01)
    box = np.minimum(box, [width, height, width, height])
    pixels = (box * 64 / np.array([width, height, width, height]))[None].astype(np.float32)
    np.testing.assert_allclose(box_means(level, pixels, 64)[0], sampled_mean(level, box), atol=0.02)


@given(seed=st.integers(0, 99), c=st.sampled_from([1, 64, 127, 128]))
def test_narrow_features_are_kept_whole(seed: int, c: int) -> None:
    features = np.random.default_rng(seed).normal(size=(5, c)).astype(np.float32)
    found = projected(features)
    assert found.shape == (5, OBJECT_DIM)
    np.testing.assert_array_equal(found[:, :c], features)
    assert not found[:, c:].any()


def test_wide_features_keep_their_cosines_about() -> None:
    """By random signs, to 0.09 (1 / √128) in the mean; and always by the same."""
    features = np.random.default_rng(0).normal(size=(200, 512)).astype(np.float32)
    features += features.mean(axis=1, keepdims=True)
    before, after = (np.corrcoef(one) for one in (features, projected(features)))
    error = (before - after)[np.triu_indices(200, 1)]
    assert np.sqrt((error**2).mean()) < 0.1
    assert projected(np.eye(1, 129, dtype=np.float32))[0, :4].tolist() == [1.0, -1.0, -1.0, 1.0]


@given(
    boxes=st.lists(st.tuples(*[st.floats(0.0, 1.0)] * 4), min_size=1, max_size=5),
    shape=st.tuples(*[st.integers(1, 300)] * 2),
)
def test_a_box_is_placed_where_it_was_found(boxes: list[tuple[float, ...]], shape: tuple[int, int]) -> None:
    """In pixels of the square, within float32."""
    height, width = shape
    _, (placement,) = letterboxed(images(shape), 64)
    inside = np.array(boxes, dtype=np.float32) * np.array([width, height, width, height], dtype=np.float32)
    np.testing.assert_allclose(placement.restored(placement.placed(inside)), inside, atol=1e-3 * max(shape) / 10)


# --- ultralytics ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def plain() -> Detector:
    return load_detector(yolo(), threads=1)


def test_full_class_vectors_are_kept(plain: Detector) -> None:
    (inference,) = plain.predict(images((90, 90)), score_floor=FLOOR)
    assert (np.sort(inference.class_scores, axis=1)[:, -2] > 0).all()


@pytest.mark.parametrize("name", TORCHVISION)
def test_a_detection_keeps_what_its_place_scored_for_every_class(name: str) -> None:
    """Two classes that the network cannot tell apart are rivals as strong as each other, wherever either is found; the
    third has a score of its own there."""
    head, state = read_weights(BACKENDS[name]())
    generator = torch.Generator().manual_seed(0)
    for layer, tensor in state.items():
        if CLASS_LAYER.search(layer):
            rows = 0.1 * torch.randn(tensor.shape, generator=generator).view(-1, 1 + len(LABELS), *tensor.shape[1:])
            rows[:, 2] = rows[:, 1]
            state[layer] = rows.view(tensor.shape)
    (found,) = load_detector(write_weights(head, state), threads=1).predict(images((90, 96)), score_floor=FLOOR)
    of_twins = found.class_scores[found.classes < 2]
    assert len(of_twins) >= 5
    np.testing.assert_allclose(of_twins[:, 0], of_twins[:, 1], atol=1e-6)
    assert np.median(of_twins[:, 2]) > 0


def test_end_to_end_networks_answer_with_full_class_vectors_too() -> None:
    (inference,) = load_detector(end_to_end()).predict(images((90, 90)), score_floor=FLOOR)
    assert (np.sort(inference.class_scores, axis=1)[:, -2] > 0).all()


def test_no_two_answers_of_one_label_overlap_beyond_the_bound(plain: Detector) -> None:
    (inference,) = plain.predict(images((SIZE, SIZE)), score_floor=0.0)
    overlap = iou_matrix(inference.boxes, inference.boxes)
    same = inference.classes[:, None] == inference.classes[None, :]
    np.fill_diagonal(overlap, 0.0)
    # Boxes are clipped to the image after NMS, which can raise the overlap of two at its edge.
    inner = ((inference.boxes > 0) & (inference.boxes < SIZE)).all(axis=1)
    compared = overlap[np.ix_(inner, inner)][same[np.ix_(inner, inner)]]
    assert compared.size and compared.max() <= NMS_IOU + 1e-3


def test_what_is_fused_for_speed_answers_as_the_plain_network_does() -> None:
    """The reference is ultralytics' own network on the same pixels, without fusion."""
    content = yolo()
    head, state = read_weights(content)
    network = networks.ultralytics_network(head.architecture, len(LABELS), state)
    (image,) = images((SIZE, SIZE))
    with torch.inference_mode():
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        reference = network(pixels)[0][0, 4:].amax().item()
    (inference,) = load_detector(content).predict([image], score_floor=0.0)
    assert inference.scores[0] == pytest.approx(reference, abs=1e-5)


@pytest.mark.parametrize(("height", "width"), [(40, 100), (100, 40), (64, 64), (300, 500), (7, 9)])
def test_what_is_scaled_into_the_square_is_scaled_back_to_where_it_was(height: int, width: int) -> None:
    image = np.zeros((height, width, 3), dtype=np.uint8)
    box = (width // 4, height // 3, width // 4 + width // 2, height // 3 + height // 2)
    image[box[1] : box[3], box[0] : box[2]] = 255
    batch, (placement,) = letterboxed([image], 64)
    rows, columns = (batch[0].min(axis=2) > 127).nonzero()  # lighter than the grey around the image
    seen = np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], dtype=np.float32)
    np.testing.assert_allclose(placement.restored(seen)[0], box, atol=max(1.0, max(height, width) / 64))


def test_boxes_that_stick_out_are_clipped_to_the_image() -> None:
    _, (placement,) = letterboxed(images((40, 100)), 64)
    restored = placement.restored(np.array([[-10.0, -10.0, 90.0, 90.0]], dtype=np.float32))
    assert restored.tolist() == [[0.0, 0.0, 100.0, 40.0]]


# --- loading -------------------------------------------------------------------------------------


def test_an_unknown_backend_is_refused_with_those_that_are_known() -> None:
    head, state = read_weights(yolo())
    with pytest.raises(BadWeights, match="paddle") as caught:
        load_detector(write_weights(replace(head, backend="paddle"), state))
    assert "ultralytics" in caught.value.hint


def test_weights_for_another_number_of_labels_are_refused() -> None:
    head, state = read_weights(yolo())
    with pytest.raises(BadWeights, match="do not fit"):
        load_detector(write_weights(replace(head, labels=("a", "b")), state))


@pytest.mark.parametrize("device", ["tpu", "cuda:77", "meta:x"])
def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(BadWeights, match=device.split(":")[0]):
        load_detector(yolo(), device=device)


def test_a_body_pretrained_on_photographs_tells_photographs_from_noise() -> None:
    """YOLOv5n's COCO body in ultralytics' yolov5n: embeddings of two crops of one photograph are nearer than
    those of the photograph and of noise."""
    folder, blood = require_data("weights"), require_data("bccd")
    from PIL import Image as Pillow

    body = torch.load(folder / "yolov5n_coco" / "yolov5n_v61_coco_state.pt", weights_only=True)["state_dict"]
    head, state = read_weights(adopt("yolov5n.yaml", labels=LABELS, image_size=320))
    fitting = {k: v.float() for k, v in body.items() if k in state and v.shape == state[k].shape}
    assert len(fitting) >= 300
    detector = load_detector(write_weights(head, {**state, **fitting}))
    photograph = np.asarray(Pillow.open(sorted(blood.rglob("*.jpg"))[0]).convert("RGB"))
    left, right, noise = detector.predict(
        [photograph[:, :400], photograph[:, -400:], images((480, 400))[0]], score_floor=0.5
    )
    assert left.embedding @ right.embedding > left.embedding @ noise.embedding + 0.05
