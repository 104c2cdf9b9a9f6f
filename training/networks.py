"""Which network a model file describes, built without running anything that the file says.

An ultralytics architecture is a dictionary whose layer names ultralytics looks up in its module globals and
whose activation it evaluates, so both are checked here against what a detection network may hold.
"""

import ast
import contextlib
import copy
import importlib
import itertools
import math
import os
import re
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from loop.domain.errors import BadWeights
from loop.domain.model import TORCHVISION_BUILDERS, ModelHead
from training.class_rows import ClassRows, carried

_MAX_LAYERS = 1000
_MAX_NUMBER = 1_000_000
_HEADS = ("Detect", "v10Detect")
_STRIDE = 8  # pixels a place of the maps that embeddings are made of: the finest of what YOLO's heads see
_PROBED = 64  # pixels
# Not usable as a layer of a file from outside: it downloads weights.
_REFUSED_LAYERS = frozenset({"TorchVision"})
_OTHER_TASKS = (
    ("RTDETR", "RT-DETR"),
    ("Segment", "segmentation"),
    ("Pose", "pose"),
    ("OBB", "oriented boxes"),
    ("Classify", "classification"),
    ("World", "open-vocabulary detection"),
    ("YOLOE", "open-vocabulary detection"),
    ("Depth", "depth"),
)
_ACTIVATION = re.compile(r"(?:torch\.)?(nn\.[A-Z]\w*)")

# ultralytics keeps building state in class attributes (Conv.default_act, Detect.legacy).
_building = threading.Lock()


def import_ultralytics() -> None:
    """Import ultralytics so that it is silent, offline, and writes nothing into the user's home.

    It reads its environment once, at import: no DNS look-up, no settings file left behind, no logs, no
    telemetry, no automatic installs, and `weights_only` loading.
    """
    with _building:
        if "ultralytics.utils" not in sys.modules:
            with tempfile.TemporaryDirectory() as folder, _environment(_QUIET | {"YOLO_CONFIG_DIR": folder}):
                importlib.import_module("ultralytics.utils")
        from ultralytics.utils import SETTINGS

        # dict.update: SETTINGS.update would write the settings file again.
        dict.update(SETTINGS, sync=False, **dict.fromkeys(_INTEGRATIONS, False))


_INTEGRATIONS = ("clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb", "vscode_msg")
_QUIET = {
    "YOLO_OFFLINE": "true",
    "YOLO_VERBOSE": "false",
    "YOLO_AUTOINSTALL": "false",
    "ULTRALYTICS_SAFE_LOAD": "true",
    # Set for the import only: ultralytics would set it to 1 for this process and all its children.
    "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or "1",
}


@contextlib.contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


# --- ultralytics -----------------------------------------------------------------------------------


def checked_architecture(architecture: Mapping[str, object]) -> dict[str, object]:
    """A deep copy of an ultralytics model dictionary that is safe to build; raises BadWeights.

    Kept are the keys that shape the network; every layer must be a module of ultralytics or torch.nn, its
    arguments plain numbers, words and lists, the activation a torch.nn module, and the last layer a
    detection head.
    """
    kept = {key: copy.deepcopy(architecture[key]) for key in _ARCHITECTURE_KEYS if key in architecture}
    layers = _layers(kept)
    import_ultralytics()
    for layer in layers:
        _check_layer(layer)
    _check_head(layers[-1])
    _check_activation(kept.get("activation"))
    return kept


_ARCHITECTURE_KEYS = (
    "nc",
    "scale",
    "scales",
    "depth_multiple",
    "width_multiple",
    "reg_max",
    "end2end",
    "activation",
    "channels",
    "inplace",
    "backbone",
    "head",
)


def _layers(architecture: Mapping[str, object]) -> list[list[Any]]:
    backbone, head = architecture.get("backbone"), architecture.get("head")
    if not isinstance(backbone, list) or not isinstance(head, list) or not head:
        raise BadWeights(
            "the model description has no backbone and head.",
            hint="Give an ultralytics detection model (a .pt checkpoint or a model .yaml).",
        )
    layers = [*backbone, *head]
    if len(layers) > _MAX_LAYERS or not all(isinstance(layer, list) and len(layer) == 4 for layer in layers):
        raise BadWeights("the model description has layers that are not [from, repeats, module, arguments].")
    if architecture.get("channels", 3) != 3:
        raise BadWeights("the model does not take RGB images.", hint="Give a model with 3 input channels.")
    return layers


def _check_layer(layer: list[Any]) -> None:
    name = layer[2]
    if not isinstance(name, str) or not _is_module(name):
        raise BadWeights(f"the model description has the layer {name!r}, which is not a known network layer.")
    if not all(_is_plain(part) for part in (layer[0], layer[1], layer[3])):
        raise BadWeights(
            f"the layer {name} of the model description has arguments that are not plain numbers or words."
        )


def _is_module(name: str) -> bool:
    from ultralytics.nn import tasks

    if name in _REFUSED_LAYERS:
        return False
    found = getattr(nn, name[3:], None) if name.startswith("nn.") else vars(tasks).get(name)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        return False
    return found.__module__.startswith(("ultralytics.nn.modules.", "torch.nn.modules."))


def _is_plain(value: object) -> bool:
    if isinstance(value, list):
        return len(value) <= 100 and all(_is_plain(item) for item in value)
    if isinstance(value, str):
        return len(value) <= 100
    return value is None or (isinstance(value, bool | int | float) and abs(value) <= _MAX_NUMBER)


def _check_head(layer: list[Any]) -> None:
    name = str(layer[2])
    if name in _HEADS:
        return
    task = next((task for part, task in _OTHER_TASKS if part in name), f"{name!r}")
    raise BadWeights(
        f"the file holds a model for {task}, not a YOLO detector.",
        hint="Use the detection variant of the model, for example yolo11n.pt in place of yolo11n-seg.pt.",
    )


def _check_activation(activation: object) -> None:
    """ultralytics evaluates this string, so it may only be a torch.nn module called with literal arguments."""
    if activation is None:
        return
    with contextlib.suppress(SyntaxError, ValueError, MemoryError, RecursionError):
        call = ast.parse(str(activation).strip(), mode="eval").body
        if isinstance(call, ast.Call):
            for argument in (*call.args, *(word.value for word in call.keywords if word.arg)):
                ast.literal_eval(argument)
            name = _ACTIVATION.fullmatch(ast.unparse(call.func))
            if name is not None and _is_module(name[1]) and all(word.arg for word in call.keywords):
                return
    raise BadWeights(f"the model description has the activation {activation!r}, which is not a torch.nn module.")


def ultralytics_network(
    architecture: Mapping[str, object], labels: int, state: Mapping[str, Tensor] | None = None, *, seed: int = 0
) -> nn.Module:
    """The network of an ultralytics model dictionary with `labels` classes, in evaluation mode, float32.

    With `state` its weights are exactly those (raises BadWeights where they do not fit), without it they are
    drawn from `seed`. The global random state is left as it was.
    """
    network = _shaped(architecture, labels, state, seed)
    if state is not None:
        _load(network, state)
    return network.eval()


def relabelled_network(
    architecture: Mapping[str, object],
    state: Mapping[str, Tensor],
    old: Sequence[str],
    new: Sequence[str],
    *,
    seed: int = 0,
) -> nn.Module:
    """The network with weights `state` for labels `old`, turned into one for labels `new`, by name.

    A label that stays keeps its rows of the class layers, wherever it moves; a new one gets fresh rows, drawn
    from `seed`, with the low initial score that ultralytics gives to unseen classes. Everything else stays.
    """
    network = _shaped(architecture, len(new), state, seed)
    _load(network, carried(network.state_dict(), state, dict.fromkeys(class_keys(network), ClassRows()), old, new))
    return network.eval()


def _shaped(
    architecture: Mapping[str, object], labels: int, state: Mapping[str, Tensor] | None, seed: int
) -> nn.Module:
    """The network with fresh weights, its class branches as wide as those of `state`."""
    dictionary = checked_architecture(architecture)
    with _building, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _built(dictionary, labels)
        width = class_width(network, state) if state is not None else None
        if width is not None and width != class_width(network, network.state_dict()):
            widen_class_head(network, _built(dictionary, width), labels)
    return network


def _built(architecture: Mapping[str, object], labels: int) -> nn.Module:
    from ultralytics.nn.tasks import DetectionModel

    try:
        network: nn.Module = DetectionModel(copy.deepcopy(dict(architecture)), ch=3, nc=labels, verbose=False)
    except Exception as error:  # ultralytics raises whatever its layers do: KeyError, TypeError, RuntimeError, …
        raise BadWeights(f"the model description cannot be built: {type(error).__name__}: {error}.") from error
    return network


def detect_head(network: nn.Module) -> Any:
    """The detection head, the last layer of an ultralytics network."""
    return network.model[-1]  # type: ignore[index]


def class_keys(network: nn.Module) -> list[str]:
    """Names of the tensors whose rows are the classes: weight and bias of the last layer of each class branch."""
    head = detect_head(network)
    prefix = f"model.{len(network.model) - 1}."  # type: ignore[arg-type]
    branches = [(name, getattr(head, name, None)) for name in ("cv3", "one2one_cv3")]
    return [
        f"{prefix}{name}.{level}.{len(layers) - 1}.{part}"
        for name, branch in branches
        if branch is not None
        for level, layers in enumerate(branch)
        for part in ("weight", "bias")
    ]


def class_width(network: nn.Module, state: Mapping[str, Tensor]) -> int | None:
    """Channels before the last class layer in `state`. They depend on the class count that a model was first
    built for, which fine-tuning on fewer classes keeps."""
    tensor = state.get(class_keys(network)[0])
    return int(tensor.shape[1]) if tensor is not None and tensor.ndim == 4 else None


def widen_class_head(network: nn.Module, donor: nn.Module, labels: int) -> None:
    """Give `network` the class branches of `donor` (built with other widths), with `labels` outputs."""
    head, other = detect_head(network), detect_head(donor)
    for name in ("cv3", "one2one_cv3"):
        branch = getattr(other, name, None)
        if branch is None or getattr(head, name, None) is None:
            continue
        for layers in branch:
            layers[-1] = nn.Conv2d(layers[-1].in_channels, labels, 1)
        setattr(head, name, branch)
    head.bias_init()


def ultralytics_embedding_dim(network: nn.Module) -> int:
    """A mean and a deviation for each channel of `body_layer`."""
    return 2 * body_layer(network)[1]


def body_layer(network: nn.Module) -> tuple[nn.Module, int]:
    """What the embedding of an image is made of, and its channels: the last of an ultralytics network's layers before
    the first with maps coarser than a place for 8 pixels."""
    shapes: list[tuple[nn.Module, torch.Size]] = []

    def note(layer: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            shapes.append((layer, output.shape))

    hooks = [layer.register_forward_hook(note) for layer in network.model[:-1]]  # type: ignore[index]
    with torch.inference_mode():
        network(torch.zeros(1, 3, _PROBED, _PROBED))
    for hook in hooks:
        hook.remove()
    fine = [*itertools.takewhile(lambda one: _PROBED / one[1][-1] <= _STRIDE, shapes)]
    layer, shape = fine[-1] if fine else shapes[0]
    return layer, int(shape[1])


# --- torchvision -----------------------------------------------------------------------------------


def torchvision_network(
    builder: str, labels: int, image_size: int, state: Mapping[str, Tensor] | None = None, *, seed: int = 0
) -> nn.Module:
    """A torchvision detector for `labels` classes (its class 0 is the background), in evaluation mode.

    It takes square images of `image_size` as they are. Raises BadWeights for an unknown builder or for
    weights that do not fit.
    """
    if builder not in TORCHVISION_BUILDERS:
        raise BadWeights(
            f"{builder!r} is not a torchvision detector that can be served.",
            hint=f"Use one of: {', '.join(TORCHVISION_BUILDERS)}.",
            builder=builder,
        )
    from torchvision.models import detection

    build: Callable[..., nn.Module] = getattr(detection, builder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build(weights=None, weights_backbone=None, num_classes=labels + 1)
    transform: Any = network.transform
    transform.min_size, transform.max_size, transform.fixed_size = (image_size,), image_size, (image_size, image_size)
    if state is not None:
        _load(network, _with_counters(network, state))
    return network.eval()


def _with_counters(network: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`state`, with the counters of batches that torchvision's frozen normalisation leaves out: its own detectors, and
    all that its reference script has fine-tuned, are saved without them."""
    counters = {name: t for name, t in network.state_dict().items() if name.endswith(".num_batches_tracked")}
    return {**counters, **state}


# Rows of Faster R-CNN's boxes are four for each class; SSD and RetinaNet have rows of all classes for each anchor.
_CLASS_LAYERS = {
    re.compile(r"^roi_heads\.box_predictor\.cls_score\."): ClassRows(before=1),
    re.compile(r"^roi_heads\.box_predictor\.bbox_pred\."): ClassRows(before=1, each=4),
    re.compile(r"^head\.classification_head\.(cls_logits|module_list\.\d+\.1)\."): ClassRows(before=1),
}


def relabelled_torchvision(
    builder: str,
    state: Mapping[str, Tensor],
    old: Sequence[str],
    new: Sequence[str],
    image_size: int,
    *,
    seed: int = 0,
) -> nn.Module:
    """See `relabelled_network`; the background keeps its rows, and new labels get those that the builder draws."""
    network = torchvision_network(builder, len(new), image_size, seed=seed)
    rows = {name: rows for name in network.state_dict() for layer, rows in _CLASS_LAYERS.items() if layer.match(name)}
    _load(network, carried(network.state_dict(), _with_counters(network, state), rows, old, new))
    return network


def feature_levels(maps: Mapping[str, Tensor]) -> list[Tensor]:
    """The feature maps of a torchvision backbone, without the level that Faster R-CNN pools from the last."""
    return [level for name, level in maps.items() if name != "pool"]


def torchvision_body(network: nn.Module) -> nn.Module:
    """What answers with the maps that the embedding of an image is made of: the backbone, without its pyramid."""
    body: nn.Module = getattr(network.backbone, "body", network.backbone)  # type: ignore[arg-type]
    return body


def torchvision_embedding_dim(network: nn.Module, image_size: int) -> int:
    """A mean and a deviation for each channel of the body's map that `level_of_8_pixels` takes."""
    with torch.inference_mode():
        maps = torchvision_body(network)(torch.zeros(1, 3, image_size, image_size))
    return 2 * int(level_of_8_pixels(list(maps.values()), image_size).shape[1])


# --- both ------------------------------------------------------------------------------------------


def relabelled(
    head: ModelHead, state: Mapping[str, Tensor], known: Sequence[str], labels: tuple[str, ...], size: int, *, seed: int
) -> tuple[ModelHead, nn.Module]:
    """The model that `head` and `state` are, whose labels are now called `known`, as one for `labels` and square images
    of `size` pixels, by name. Raises BadWeights."""
    head = replace(head, labels=labels, image_size=size)
    if head.backend == "torchvision":
        builder = str(head.architecture.get("builder"))
        network = relabelled_torchvision(builder, state, known, labels, size, seed=seed)
        return replace(head, embedding_dim=embedding_dim(head, network)), network
    network = relabelled_network(head.architecture, state, known, labels, seed=seed)
    return replace(head, architecture={**checked_architecture(head.architecture), "nc": len(labels)}), network


def embedding_dim(head: ModelHead, network: nn.Module) -> int:
    """Length of the embeddings that are made of `network`, which is what `head` describes."""
    if head.backend == "torchvision":
        return torchvision_embedding_dim(network, head.image_size)
    return ultralytics_embedding_dim(network)


def level_of_8_pixels(levels: Sequence[Tensor], image_size: int) -> Tensor:
    """Of feature maps (n, c, h, w) of images of `image_size` pixels the one with a place for about 8 pixels."""
    return min(levels, key=lambda level: abs(math.log2(image_size / int(level.shape[-1]) / _STRIDE)))


def _load(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    own = network.state_dict()
    missing = sorted(own.keys() - state.keys())
    unknown = sorted(state.keys() - own.keys())
    wrong = sorted(k for k in own.keys() & state.keys() if own[k].shape != state[k].shape)
    if missing or unknown or wrong:
        raise BadWeights(
            f"the weights do not fit the network: {_named('missing', missing)}, {_named('unknown', unknown)}, "
            f"{_named('of another shape', wrong)}.",
            hint="Check the model type, the number of labels, and that the model was not fused for export.",
        )
    network.load_state_dict(dict(state))


def _named(what: str, keys: list[str]) -> str:
    return f"{len(keys)} {what}" + (f" ({keys[0]}{', …' if len(keys) > 1 else ''})" if keys else "")
