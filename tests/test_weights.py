"""The model file, and what may become one."""

import json
import os
import pickle
import struct
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
import yaml

from loop.domain.errors import BadWeights
from loop.domain.model import ModelHead
from tests.tiny_models import ARCHITECTURE, tiny_weights
from training import networks
from training.head import HEAD_KEY, head_json, read_head, read_sound_head
from training.weights import adopt, read_weights, write_weights

HEAD = ModelHead(
    backend="ultralytics",
    architecture={"nc": 2, "backbone": [], "head": []},
    labels=("a", "ö"),
    image_size=64,
    embedding_dim=8,
)


LABELS = ("red", "green")
SIZE = 64


@pytest.fixture(scope="module")
def tiny() -> bytes:
    return tiny_weights(LABELS)


def description(folder: Path, **changes: object) -> Path:
    """The tiny ultralytics model description as a file."""
    path = folder / "tiny.yaml"
    path.write_text(yaml.safe_dump({**ARCHITECTURE, **changes}))
    return path


def ultralytics_model(**changes: Any) -> Any:
    """A model object of ultralytics itself, as its checkpoints pickle it."""
    networks.import_ultralytics()
    from ultralytics.nn.tasks import DetectionModel

    built = DetectionModel({**ARCHITECTURE, **changes}, nc=2, verbose=False)
    built.names = {0: "cat", 1: "dog"}
    return built


def saved(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


# --- the format ------------------------------------------------------------------------------------


def test_a_model_file_gives_back_the_head_and_the_weights_that_were_written() -> None:
    state = {"w": torch.randn(3, 2), "steps": torch.tensor(7)}
    head, read = read_weights(write_weights(HEAD, state))
    assert head == HEAD
    assert read_head(write_weights(HEAD, state)) == HEAD
    assert torch.equal(read["w"], state["w"]) and read["steps"].item() == 7


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_head_is_sound_where_all_numbers_are_finite(kind: torch.dtype, value: float) -> None:
    """Seen in the bytes, without torch, in every kind of number; the largest there is passes."""
    info = torch.finfo(kind)
    state = {"w": torch.tensor([info.max, info.min, info.smallest_normal, 0.0], dtype=kind), "n": torch.tensor([-1])}
    metadata = {HEAD_KEY: head_json(HEAD)}
    assert read_sound_head(safetensors.torch.save(state, metadata)) == HEAD
    state["w"][2] = value
    with pytest.raises(BadWeights, match="w holds values that are not finite"):
        read_sound_head(safetensors.torch.save(state, metadata))


@pytest.mark.parametrize(
    "entry",
    [
        '{"dtype": "F32"}',
        '{"dtype": "F32", "data_offsets": [0, 3]}',
        '{"dtype": "F32", "data_offsets": [-4, 4]}',
        '{"dtype": "F32", "data_offsets": [0, 40]}',
        '{"dtype": "F32", "data_offsets": [false, true]}',
        "7",
        "null",
    ],
)
def test_a_head_whose_tensors_cannot_be_read_is_not_sound(entry: str) -> None:
    """A message, whatever stands there."""
    header = f'{{"__metadata__": {{"{HEAD_KEY}": {json.dumps(head_json(HEAD))}}}, "w": {entry}}}'.encode()
    with pytest.raises(BadWeights, match="tensor w cannot be read"):
        read_sound_head(struct.pack("<Q", len(header)) + header + b"\0" * 16)


def test_equal_models_give_equal_bytes_whatever_the_order_of_their_tensors() -> None:
    one = {"a": torch.ones(2), "b": torch.zeros(3)}
    other = {"b": torch.zeros(6)[::2], "a": torch.ones(2)}
    shuffled = replace(HEAD, architecture=dict(reversed(list(HEAD.architecture.items()))))
    assert write_weights(HEAD, one) == write_weights(shuffled, other)


def test_half_files_take_half_the_space_and_read_as_float32() -> None:
    state = {"w": torch.randn(64, 64)}
    content = write_weights(HEAD, state, half=True)
    _, read = read_weights(content)
    assert len(content) < 64 * 64 * 2 + 1000
    assert read["w"].dtype == torch.float32
    assert torch.allclose(read["w"], state["w"], atol=1e-2)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(BadWeights, match=r"w holds values that are not finite"):
        write_weights(HEAD, {"w": torch.tensor([1.0, value])})


def test_weights_too_large_for_half_are_refused_rather_than_stored_as_infinity() -> None:
    with pytest.raises(BadWeights, match="not finite"):
        write_weights(HEAD, {"w": torch.tensor([1e6])}, half=True)


@pytest.mark.parametrize(
    "content",
    [b"", b"short", struct.pack("<Q", 2**62) + b"{}", struct.pack("<Q", 2) + b"xx", b"\x89PNG\r\n\x1a\n" + bytes(50)],
)
def test_bytes_that_are_no_model_file_are_refused(content: bytes) -> None:
    with pytest.raises(BadWeights):
        read_weights(content)


def test_a_truncated_model_file_is_refused(tiny: bytes) -> None:
    with pytest.raises(BadWeights, match="not a readable model file"):
        read_weights(tiny[:-100])


# --- ultralytics checkpoints ---------------------------------------------------------------------


def test_a_checkpoint_is_adopted_with_its_names_its_size_and_its_average_weights(tmp_path: Path) -> None:
    """The moving average is what ultralytics itself deploys; it stores float16, we keep float32."""
    raw, average = ultralytics_model(), ultralytics_model().half()
    path = saved(tmp_path / "best.pt", {"model": raw, "ema": average, "train_args": {"imgsz": 96}, "epoch": 3})
    head, state = read_weights(adopt(path))
    assert (head.backend, head.labels, head.image_size) == ("ultralytics", ("cat", "dog"), 96)
    assert "yaml_file" not in head.architecture
    expected = average.float().state_dict()
    assert state.keys() == expected.keys()
    assert all(torch.equal(state[name], expected[name].to(state[name].dtype)) for name in expected)


def test_a_released_checkpoint_without_average_weights_gives_its_model(tmp_path: Path) -> None:
    raw = ultralytics_model()
    path = saved(tmp_path / "yolo.pt", {"model": raw.half(), "ema": None})
    head, state = read_weights(adopt(path, labels=("x", "y"), image_size=64))
    assert (head.labels, head.image_size) == (("x", "y"), 64)
    assert torch.equal(state["model.0.conv.weight"], raw.float().state_dict()["model.0.conv.weight"])


def test_a_checkpoint_fine_tuned_from_more_classes_keeps_its_wider_class_head(tmp_path: Path) -> None:
    """ultralytics builds the class branch for the first class count and keeps its width ever after."""
    wide, narrow = ultralytics_model(), ultralytics_model()
    donor = networks.ultralytics_network(ARCHITECTURE, 80)
    networks.widen_class_head(wide, donor, 2)
    before = networks.class_width(narrow, narrow.state_dict())
    path = saved(tmp_path / "best.pt", {"model": wide})
    _, state = read_weights(adopt(path))
    assert networks.class_width(wide, state) == 80 != before


def test_a_pickle_that_runs_a_command_is_refused_and_not_run(tmp_path: Path) -> None:
    marker = tmp_path / "ran"

    class Malicious:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (f"touch {marker}",)

    path = saved(tmp_path / "evil.pt", {"model": Malicious()})
    with pytest.raises(BadWeights, match="system"):
        adopt(path)
    assert not marker.exists()


def test_a_pickle_that_builds_a_known_layer_with_arguments_of_its_own_runs_no_constructor(tmp_path: Path) -> None:
    """DetectionModel evaluates the activation in its dictionary: allowing known classes would not be enough."""
    networks.import_ultralytics()
    from ultralytics.nn.tasks import DetectionModel

    marker = tmp_path / "ran"
    act = f"__import__('os').system('touch {marker}')"

    class Constructing:
        def __reduce__(self) -> tuple[Any, ...]:
            return DetectionModel, ({**ARCHITECTURE, "activation": act},)

    with pytest.raises(BadWeights):
        adopt(saved(tmp_path / "evil.pt", {"model": Constructing()}))
    assert not marker.exists()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"activation": "__import__('os').system('false')"}, "activation"),
        ({"activation": "nn.SiLU(__import__('os').getpid())"}, "activation"),
        ({"activation": "nn.init.zeros_(1)"}, "activation"),
        ({"backbone": [[-1, 1, "torch_safe_load", ["x.pt"]]]}, "torch_safe_load"),
        ({"backbone": [[-1, 1, "TorchVision", [512, "resnet18", "DEFAULT"]]]}, "TorchVision"),
        ({"backbone": [[-1, 1, "Conv", [10**9, 3, 2]]]}, "Conv"),
        ({"backbone": [[-1, 1, "Conv", ["x", 3, 2]]]}, "cannot be built"),
        ({"backbone": "everything"}, "backbone"),
        ({"channels": 1}, "RGB"),
    ],
)
def test_a_model_description_can_name_layers_of_networks_and_nothing_else(
    tmp_path: Path, changes: dict[str, object], reason: str
) -> None:
    with pytest.raises(BadWeights, match=reason):
        adopt(description(tmp_path, **changes), labels=LABELS, image_size=SIZE)


@pytest.mark.parametrize("activation", ["nn.ReLU()", "torch.nn.LeakyReLU(0.1, inplace=True)"])
def test_a_model_description_can_choose_its_activation(tmp_path: Path, activation: str) -> None:
    content = adopt(description(tmp_path, activation=activation), labels=LABELS, image_size=SIZE)
    assert read_head(content).architecture["activation"] == activation


@pytest.mark.parametrize(
    ("head", "task"),
    [("Segment", "segmentation"), ("Pose", "pose"), ("Classify", "classification"), ("OBB", "oriented")],
)
def test_models_for_other_tasks_are_refused_by_the_name_of_their_task(tmp_path: Path, head: str, task: str) -> None:
    with pytest.raises(BadWeights, match=task):
        adopt(description(tmp_path, head=[[[4, 6], 1, head, ["nc"]]]), labels=LABELS)


def test_a_checkpoint_with_weights_that_are_not_finite_is_refused(tmp_path: Path) -> None:
    broken = ultralytics_model()
    with torch.no_grad():
        next(broken.parameters()).fill_(float("nan"))
    with pytest.raises(BadWeights, match="not finite"):
        adopt(saved(tmp_path / "nan.pt", {"model": broken}))


def test_a_checkpoint_that_was_fused_for_export_is_refused(tmp_path: Path) -> None:
    fused = ultralytics_model().eval().fuse(verbose=False)
    with pytest.raises(BadWeights, match="do not fit") as caught:
        adopt(saved(tmp_path / "fused.pt", {"model": fused}))
    assert "fused" in caught.value.hint


@pytest.mark.parametrize(
    "content",
    [b"", b"\x80\x04N.", pickle.dumps({"model": 1}), b"PK\x03\x04 not a zip", b"<html>"],
)
def test_files_that_are_no_checkpoint_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(content)
    with pytest.raises(BadWeights):
        adopt(path)


def test_a_truncated_checkpoint_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pt", {"model": ultralytics_model()})
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(BadWeights):
        adopt(path)


# --- other sources -------------------------------------------------------------------------------


def test_a_description_gives_the_same_untrained_weights_each_time(tmp_path: Path) -> None:
    first = torch.rand(1)
    torch.manual_seed(5)
    one = adopt(description(tmp_path), labels=LABELS, image_size=SIZE)
    after = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(1)) and not torch.equal(first, after)  # the global state is untouched
    assert adopt(description(tmp_path), labels=LABELS, image_size=SIZE) == one


def test_another_seed_gives_other_untrained_weights() -> None:
    assert tiny_weights(LABELS, seed=1) != tiny_weights(LABELS, seed=2)


def test_a_description_that_ultralytics_ships_is_known_by_its_name() -> None:
    head = read_head(adopt("yolo11n.yaml", labels=("a",), image_size=64))
    assert head.architecture["scale"] == "n"
    assert head.embedding_dim == 2 * 128  # of layer 4, the last with a place for 8 pixels


def test_our_own_file_can_be_given_new_labels(tiny: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(tiny)
    assert adopt(path) == tiny
    assert read_head(adopt(path, labels=("x", "y"))).labels == ("x", "y")


@pytest.mark.parametrize("labels", [("one",), ("a", "b", "c"), ("a", "a"), ("a", " ")])
def test_labels_that_do_not_fit_the_classes_are_refused(tiny: bytes, tmp_path: Path, labels: tuple[str, ...]) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(tiny)
    with pytest.raises(BadWeights, match="label"):
        adopt(path, labels=labels)


@pytest.mark.parametrize("size", [0, 16, 100, 10_016])
def test_image_sizes_that_no_network_takes_are_refused(tmp_path: Path, size: int) -> None:
    with pytest.raises(BadWeights, match="image size"):
        adopt(description(tmp_path), labels=LABELS, image_size=size or 8)


def test_a_missing_file_says_so_and_nothing_is_downloaded(tmp_path: Path) -> None:
    with pytest.raises(BadWeights, match="there is no file"):
        adopt(tmp_path / "missing.pt")
    with pytest.raises(BadWeights, match="nothing is downloaded") as caught:
        adopt("yolo11n.pt")
    assert "--download" in caught.value.hint and "github.com/ultralytics/assets" in caught.value.hint


def test_an_address_is_not_opened() -> None:
    with pytest.raises(BadWeights, match="not a file"):
        adopt("http://127.0.0.1:9/yolo11n.pt")


def test_a_torchvision_state_dict_needs_its_builder(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", OrderedDict(weight=torch.zeros(3)))
    with pytest.raises(BadWeights, match="which network") as caught:
        adopt(path)
    assert "ssdlite320_mobilenet_v3_large" in caught.value.hint


def test_an_unknown_builder_is_refused_with_those_that_are_known(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", OrderedDict(weight=torch.zeros(3)))
    with pytest.raises(BadWeights, match="resnet50") as caught:
        adopt(path, builder="resnet50", labels=LABELS)
    assert "fcos_resnet50_fpn" in caught.value.hint


def test_a_torchvision_state_dict_of_another_network_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "x.pth", OrderedDict(weight=torch.zeros(3)))
    with pytest.raises(BadWeights, match="do not fit"):
        adopt(path, builder="fasterrcnn_mobilenet_v3_large_320_fpn", labels=LABELS)


def test_a_head_that_wants_code_run_is_refused_when_the_network_is_built(tiny: bytes) -> None:
    head, state = read_weights(tiny)
    evil = replace(head, architecture={**head.architecture, "activation": "__import__('os').getpid()"})
    with pytest.raises(BadWeights, match="activation"):
        networks.ultralytics_network(evil.architecture, len(evil.labels), state)


# --- labels that change ------------------------------------------------------------------------------


def test_labels_that_stay_keep_what_the_model_knows_of_them(tiny: bytes) -> None:
    """Also for labels that are numbers, which ultralytics takes for placeholders and forgets."""
    head, state = read_weights(tiny)
    network = networks.relabelled_network(head.architecture, state, ("0", "1"), ("new", "1", "0"))
    moved = network.state_dict()
    for key in networks.class_keys(network):
        assert moved[key].shape[0] == 3
        assert torch.equal(moved[key][1], state[key][1])
        assert torch.equal(moved[key][2], state[key][0])
    others = state.keys() - set(networks.class_keys(network))
    assert all(torch.equal(moved[key], state[key]) for key in others)


def test_relabelling_to_the_same_labels_changes_nothing(tiny: bytes) -> None:
    head, state = read_weights(tiny)
    same = networks.relabelled_network(head.architecture, state, LABELS, LABELS).state_dict()
    assert all(torch.equal(same[key], state[key]) for key in state)


# One of each way in which torchvision's detectors lay out their classes.
FAMILIES = ("ssdlite320_mobilenet_v3_large", "fasterrcnn_mobilenet_v3_large_320_fpn", "retinanet_resnet50_fpn")


@pytest.fixture(scope="module", params=FAMILIES)
def family(request: pytest.FixtureRequest) -> tuple[str, dict[str, torch.Tensor]]:
    """A torchvision builder, and weights of it for a, b and c."""
    builder: str = request.param
    state, generator = networks.torchvision_network(builder, 3, SIZE).state_dict(), torch.Generator().manual_seed(0)
    for name, tensor in state.items():
        if "classification_head" in name and name.endswith("bias"):  # else all classes have one score
            tensor += torch.randn(tensor.shape, generator=generator)
    return builder, state


def found(network: Any, labels: tuple[str, ...]) -> list[tuple[float, list[float], str]]:
    """All that it says of a picture, by label."""
    getattr(network, "roi_heads", network).score_thresh = 0.0
    with torch.inference_mode():
        (answer,) = network([torch.rand(3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))])
    names = ["background", *labels]  # of which RetinaNet has scores, too
    classes = [names[index] for index in answer["labels"].tolist()]
    return sorted(zip(answer["scores"].tolist(), answer["boxes"].tolist(), classes, strict=True))


def test_a_torchvision_detector_finds_the_same_where_labels_only_change_places(
    family: tuple[str, dict[str, torch.Tensor]],
) -> None:
    """Scores, boxes (which Faster R-CNN has for each class) and what the background is go along."""
    builder, state = family
    moved = networks.relabelled_torchvision(builder, state, ("a", "b", "c"), ("c", "a", "b"), SIZE)
    before = found(networks.torchvision_network(builder, 3, SIZE, state), ("a", "b", "c"))
    after = found(moved, ("c", "a", "b"))
    assert len(before) > 10 and len({name for _, _, name in before}) > 2
    for (score, box, name), (other_score, other_box, other_name) in zip(before, after, strict=True):
        assert name == other_name
        assert score == pytest.approx(other_score, abs=1e-5) and box == pytest.approx(other_box, abs=1e-2)


def test_a_torchvision_detector_forgets_a_label_that_came_and_went(
    family: tuple[str, dict[str, torch.Tensor]],
) -> None:
    """As if it had never been there; while it is, it has rows of its own, by the seed."""
    builder, state = family
    with_new = networks.relabelled_torchvision(builder, state, ("a", "b", "c"), ("c", "new", "a"), SIZE).state_dict()
    again = networks.relabelled_torchvision(builder, with_new, ("c", "new", "a"), ("a", "c"), SIZE).state_dict()
    direct = networks.relabelled_torchvision(builder, state, ("a", "b", "c"), ("a", "c"), SIZE).state_dict()
    assert all(torch.equal(again[name], direct[name]) for name in direct)
    seeded = networks.relabelled_torchvision(builder, state, ("a", "b", "c"), ("c", "new", "a"), SIZE, seed=1)
    assert any(not torch.equal(tensor, with_new[name]) for name, tensor in seeded.state_dict().items())


def test_weights_for_another_number_of_labels_are_refused(family: tuple[str, dict[str, torch.Tensor]]) -> None:
    builder, state = family
    with pytest.raises(BadWeights, match="not for 2 labels"):
        networks.relabelled_torchvision(builder, state, ("a", "b"), ("a", "b"), SIZE)


def test_what_torchvisions_own_script_has_trained_is_taken(tmp_path: Path) -> None:
    """Its normalisation is frozen, and saved without the counters that ours has."""
    builder = "fasterrcnn_mobilenet_v3_large_320_fpn"
    state = networks.torchvision_network(builder, len(LABELS), SIZE).state_dict()
    theirs = {name: tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")}
    head, ours = read_weights(adopt(saved(tmp_path / "model_25.pth", theirs), builder=builder, labels=LABELS))
    assert len(theirs) < len(state) and head.labels == LABELS
    assert all(torch.equal(ours[name], state[name]) for name in theirs)


def test_a_torchvision_function_gives_untrained_weights() -> None:
    one = adopt("ssdlite320_mobilenet_v3_large", labels=LABELS)
    head = read_head(one)
    assert (head.backend, head.labels, head.image_size) == ("torchvision", LABELS, 320)
    assert one == adopt("ssdlite320_mobilenet_v3_large", labels=LABELS)
    assert one != adopt("ssdlite320_mobilenet_v3_large", labels=LABELS, seed=1)
    with pytest.raises(BadWeights, match="without labels"):
        adopt("ssdlite320_mobilenet_v3_large")
