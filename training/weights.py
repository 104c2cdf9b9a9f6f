"""The model file: safetensors, with the model head as JSON in its metadata. Nothing in it can run.

`adopt` turns what people have (ultralytics checkpoints and model descriptions, torchvision state dicts) into
such a file. A pickle is read by torch's restricted unpickler, and what it names is replaced by inert records,
so that no code of the file's choosing runs: not even constructors of known layers.
"""

import contextlib
import io
import math
import pickle
import tempfile
import threading
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
import yaml
from torch import Tensor

from loop.domain.errors import BadWeights
from loop.domain.model import TORCHVISION_BUILDERS, ModelHead
from training import networks
from training.head import (
    HEAD_KEY,
    STRIDE,
    checked_image_size,
    checked_labels,
    damaged,
    head_from,
    head_json,
    metadata_of,
    not_finite,
)

_DEFAULT_IMAGE_SIZE = 640

# --- our format ------------------------------------------------------------------------------------


def write_weights(head: ModelHead, state: Mapping[str, Tensor], *, half: bool = False) -> bytes:
    """The file of a model: equal inputs give equal bytes.

    half: floating-point tensors are stored as float16, half the size. Raises BadWeights for weights that are not
    finite (or become so as float16).
    """
    stored = {name: _stored(tensor, half) for name, tensor in state.items()}
    _check_finite(stored)
    content: bytes = safetensors.torch.save(stored, metadata={HEAD_KEY: head_json(head)})
    return content


def read_weights(content: bytes) -> tuple[ModelHead, dict[str, Tensor]]:
    """The head and the state dict (floating-point tensors as float32) of a model file; raises BadWeights."""
    head = head_from(metadata_of(content))
    try:
        state = safetensors.torch.load(content)
    except Exception as error:  # safetensors raises its own error, and several of Python's, for damaged files
        raise damaged(str(error)) from error
    state = {name: t.float() if t.is_floating_point() else t for name, t in state.items()}
    _check_finite(state)
    return head, state


def _stored(tensor: Tensor, half: bool) -> Tensor:
    tensor = tensor.detach().to("cpu", copy=True).contiguous()
    if not tensor.is_floating_point():
        return tensor
    return tensor.half() if half else tensor.float()


def _check_finite(state: Mapping[str, Tensor]) -> None:
    for name, tensor in state.items():
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
            raise not_finite(name)


# --- what people have ------------------------------------------------------------------------------


def adopt(
    path: Path | str,
    *,
    labels: tuple[str, ...] | None = None,
    image_size: int | None = None,
    builder: str | None = None,
    download: bool = False,
    half: bool = False,
    seed: int = 0,
) -> bytes:
    """The model file made from what is at `path`, checked by building the network; raises BadWeights.

    path: an ultralytics detection checkpoint (.pt; its moving average where it has one), an ultralytics model
    description (a .yaml file, or the name of one that ultralytics ships; its weights are untrained), a
    torchvision state dict (.pth, .safetensors; needs `builder`), the name of a torchvision function (untrained), or
    a file of our own.
    labels: names in the order of the classes; needed where the file has none, replaces the file's otherwise.
    image_size: side of the square input in pixels; the default is the one the checkpoint was trained at.
    builder: name of the torchvision function (loop.domain.model.TORCHVISION_BUILDERS).
    half: store float16, half the size. seed: of the untrained weights of a description.
    download: fetch `path` from ultralytics' releases where it is the name of one and no such file is here.
    """
    if Path(path).suffix in (".yaml", ".yml"):
        return _adopt_description(str(path), labels, image_size, half, seed)
    if str(path) in TORCHVISION_BUILDERS:
        return _adopt_untrained(str(path), labels, image_size, half, seed)
    content = _content(path, download)
    try:
        return _adopt_content(content, labels, image_size, builder, half)
    except BadWeights as error:
        raise BadWeights(f"{path}: {error.detail}", hint=error.hint, **error.ids) from error


def _adopt_content(
    content: bytes, labels: tuple[str, ...] | None, image_size: int | None, builder: str | None, half: bool
) -> bytes:
    if builder is not None:
        return _adopt_torchvision(_state_dict(content), builder, labels, image_size, half)
    if zipfile.is_zipfile(_stream(content)):
        return _adopt_checkpoint(_record_of(content), labels, image_size, half)
    if _looks_pickled(content):
        raise BadWeights(
            "the file is a pickle in a form that cannot be read safely.",
            hint="Load it with the software that wrote it and save it again with torch.save of a current torch.",
        )
    head, state = read_weights(content)
    head = _relabelled(head, labels, image_size)
    dim = networks.embedding_dim(head, _network(head, state))
    return write_weights(replace(head, embedding_dim=dim), state, half=half)


def _network(head: ModelHead, state: Mapping[str, Tensor]) -> torch.nn.Module:
    if head.backend == "torchvision":
        return networks.torchvision_network(str(head.architecture["builder"]), len(head.labels), head.image_size, state)
    return networks.ultralytics_network(head.architecture, len(head.labels), state)


def _relabelled(head: ModelHead, labels: tuple[str, ...] | None, image_size: int | None) -> ModelHead:
    return ModelHead(
        backend=head.backend,
        architecture=head.architecture,
        labels=_labels_for(len(head.labels), labels, head.labels),
        image_size=checked_image_size(image_size or head.image_size),
        embedding_dim=head.embedding_dim,
    )


def _labels_for(classes: int, given: tuple[str, ...] | None, own: tuple[str, ...] | None) -> tuple[str, ...]:
    if given is None and own is None:
        raise BadWeights(
            f"the file does not name its {classes} classes.", hint="Give the labels in the order of the classes."
        )
    labels = checked_labels(given if given is not None else own or ())
    if len(labels) != classes:
        raise BadWeights(
            f"the model has {classes} classes, but {len(labels)} labels are given.",
            hint="Give one label for each class, in the model's order.",
            classes=classes,
            labels=len(labels),
        )
    return labels


def _content(path: Path | str, download: bool) -> bytes:
    if "://" in str(path):
        raise BadWeights(f"{path} is an address, not a file.", hint="Download it first, then give the file.")
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        return _downloaded(str(path), download)
    except OSError as error:
        raise BadWeights(f"{path} cannot be read: {error.strerror}.", hint="Give a file of weights.") from error


def _downloaded(name: str, download: bool) -> bytes:
    networks.import_ultralytics()
    from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES, attempt_download_asset

    if name not in GITHUB_ASSETS_NAMES:
        raise BadWeights(f"there is no file {name}.", hint="Check the path of the weights.", path=name)
    if not download:
        raise BadWeights(
            f"there is no file {name} here, and nothing is downloaded without being asked to.",
            hint=f"Add --download (download=True in Python), or fetch {name} from the releases of "
            "github.com/ultralytics/assets and give its path.",
            path=name,
        )
    with tempfile.TemporaryDirectory() as folder:
        try:
            attempt_download_asset(str(Path(folder) / name))
            return (Path(folder) / name).read_bytes()
        except Exception as error:  # of urllib, curl, and ultralytics' own checks
            raise BadWeights(
                f"{name} could not be downloaded: {str(error).rstrip('.')}.",
                hint="Check the network, or fetch the file on another machine and give its path.",
                path=name,
            ) from error


# --- an ultralytics model description --------------------------------------------------------------


def _adopt_description(
    path: str, labels: tuple[str, ...] | None, image_size: int | None, half: bool, seed: int
) -> bytes:
    if labels is None:
        raise BadWeights(f"{path} describes a model without labels.", hint="Give the labels it shall have.")
    labels = checked_labels(labels)
    image_size = checked_image_size(image_size or _DEFAULT_IMAGE_SIZE)
    architecture = networks.checked_architecture(_description(path)) | {"nc": len(labels)}
    network = networks.ultralytics_network(architecture, len(labels), seed=seed)
    dim = networks.ultralytics_embedding_dim(network)
    head = ModelHead(
        backend="ultralytics", architecture=architecture, labels=labels, image_size=image_size, embedding_dim=dim
    )
    return write_weights(head, network.state_dict(), half=half)


def _description(path: str) -> dict[str, object]:
    networks.import_ultralytics()
    from ultralytics.nn.tasks import guess_model_scale, yaml_model_load

    if not Path(path).is_file():
        if "/" in path or "\\" in path:
            raise BadWeights(f"there is no file {path}.", hint="Check the path of the model description.", path=path)
        try:
            return dict(yaml_model_load(path))
        except Exception as error:
            raise BadWeights(
                f"there is no file {path}, and ultralytics ships no model of that name.",
                hint="Give the path of a model description, or a name like yolo11n.yaml.",
                path=path,
            ) from error
    try:
        description = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise BadWeights(f"{path} is not readable YAML.", hint="Give an ultralytics model description.") from error
    if not isinstance(description, dict):
        raise BadWeights(f"{path} is not a model description.", hint="Give an ultralytics model description.")
    if "scales" in description and not description.get("scale"):
        scale = guess_model_scale(path)
        description["scale"] = scale if scale in description["scales"] else next(iter(description["scales"]))
    return description


# --- an ultralytics checkpoint ---------------------------------------------------------------------


class _Record:
    """Stands in for an object of a pickle: keeps what it was made from and runs nothing."""

    def __new__(cls, *args: object, **kwargs: object) -> "_Record":
        made = super().__new__(cls)
        made.__dict__["_args"] = args
        return made

    def __init__(self, *args: object, **kwargs: object) -> None:
        pass

    def __setstate__(self, state: object) -> None:
        if isinstance(state, dict):
            self.__dict__.update({str(key): value for key, value in state.items()})

    def __hash__(self) -> int:
        return id(self)


# What checkpoints of ultralytics name beside tensors. Everything under these is replaced by a record;
# anything else (os.system, builtins.eval, a class of the file's own) refuses the file.
_KNOWN = ("ultralytics.", "torch.nn.", "torchvision.", "numpy.", "pathlib.", "collections.", "types.", "datetime.")
_KNOWN_NAMES = frozenset({"builtins.getattr", "builtins.set", "builtins.slice", "_codecs.encode"})
_unpickling = threading.Lock()  # safe_globals is a setting of the process


def _record_of(content: bytes) -> Any:
    """The contents of a torch.save file with every object of a class replaced by a `_Record`."""
    try:
        with _unpickling, _nothing_trusted():
            names = torch.serialization.get_unsafe_globals_in_checkpoint(_stream(content))
            _refuse_unknown(names)
            stand_ins: list[Any] = [(type(name.rpartition(".")[2], (_Record,), {}), name) for name in names]
            with torch.serialization.safe_globals(stand_ins):
                return torch.load(_stream(content), map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, ValueError, EOFError, AttributeError, TypeError, KeyError) as error:
        first_line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadWeights(
            f"the checkpoint cannot be read safely: {first_line[:300]}",
            hint="Give a detection checkpoint written by ultralytics (.pt).",
        ) from error


@contextlib.contextmanager
def _nothing_trusted() -> Iterator[None]:
    """Without what others have declared safe in this process: ultralytics trusts its own classes once it has loaded a
    checkpoint, and then they would come back as themselves rather than as records."""
    trusted = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    try:
        yield
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(trusted)


def _refuse_unknown(names: list[str]) -> None:
    if any(name.startswith("models.") for name in names):
        raise BadWeights(
            "the checkpoint was written by the older YOLOv5 repository, whose models are built differently.",
            hint="Use the variant for ultralytics, for example yolov5nu.pt.",
        )
    unknown = sorted(name for name in names if not name.startswith(_KNOWN) and name not in _KNOWN_NAMES)
    if unknown:
        raise BadWeights(
            f"the checkpoint wants to use {unknown[0]}, which no model needs; nothing in it was run.",
            hint="Do not use this file unless you know where it comes from.",
            names=unknown,
        )


def _stream(content: bytes) -> io.BytesIO:
    return io.BytesIO(content)


def _looks_pickled(content: bytes) -> bool:
    return content[:1] == b"\x80" and content[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")


def _adopt_checkpoint(checkpoint: Any, labels: tuple[str, ...] | None, image_size: int | None, half: bool) -> bytes:
    model = _model_of(checkpoint)
    architecture = networks.checked_architecture(_dictionary(model, "yaml"))
    names = _names(getattr(model, "names", None))
    state = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in _tensors(model)}
    labels = _labels_for(len(names), labels, names)
    architecture["nc"] = len(labels)
    network = networks.ultralytics_network(architecture, len(labels), state)
    head = ModelHead(
        backend="ultralytics",
        architecture=architecture,
        labels=labels,
        image_size=checked_image_size(image_size or _trained_size(checkpoint, model)),
        embedding_dim=networks.ultralytics_embedding_dim(network),
    )
    return write_weights(head, network.state_dict(), half=half)


def _model_of(checkpoint: Any) -> _Record:
    fields = checkpoint if isinstance(checkpoint, dict) else getattr(checkpoint, "__dict__", {})
    for key in ("ema", "model"):
        model = fields.get(key)
        if isinstance(model, _Record) and hasattr(model, "yaml") and hasattr(model, "_modules"):
            return model
    if fields and all(isinstance(value, Tensor) for value in fields.values()):
        raise BadWeights(
            "the file is a bare state dict and does not say which network it is for.",
            hint="Name the torchvision builder: " + ", ".join(TORCHVISION_BUILDERS) + ".",
        )
    raise BadWeights("the file holds no ultralytics model.", hint="Give a detection checkpoint of ultralytics (.pt).")


def _dictionary(record: object, name: str) -> dict[str, object]:
    value = getattr(record, name, None)
    if isinstance(value, _Record):
        value = value.__dict__
    return {str(key): item for key, item in value.items()} if isinstance(value, dict) else {}


def _names(names: object) -> tuple[str, ...]:
    if isinstance(names, dict) and sorted(names) == list(range(len(names))):
        names = [names[index] for index in range(len(names))]
    if not isinstance(names, list) or not names:
        raise BadWeights("the checkpoint does not name its classes in order.", hint="Give a detection checkpoint.")
    return tuple(str(name) for name in names)


def _tensors(module: object, prefix: str = "") -> list[tuple[str, Tensor]]:
    """Parameters and persistent buffers under their state-dict names, in the order of torch's `state_dict`."""
    found: list[tuple[str, Tensor]] = []
    transient = getattr(module, "_non_persistent_buffers_set", None) or ()
    for kind in ("_parameters", "_buffers"):
        for name, tensor in _dictionary(module, kind).items():
            if isinstance(tensor, Tensor) and not (kind == "_buffers" and name in transient):
                found.append((prefix + name, tensor))
    for name, child in _dictionary(module, "_modules").items():
        if child is not None:
            found += _tensors(child, f"{prefix}{name}.")
    return found


def _trained_size(checkpoint: Any, model: _Record) -> int:
    settings = [_dictionary(model, "args")]
    if isinstance(checkpoint, dict) and isinstance(checkpoint.get("train_args"), dict):
        settings.insert(0, checkpoint["train_args"])
    for args in settings:
        size = args.get("imgsz")
        if isinstance(size, list) and size:
            size = max(size)
        if isinstance(size, int) and not isinstance(size, bool) and size > 0:
            return math.ceil(size / STRIDE) * STRIDE
    return _DEFAULT_IMAGE_SIZE


# --- a torchvision state dict ----------------------------------------------------------------------


def _state_dict(content: bytes) -> dict[str, Tensor]:
    try:
        if zipfile.is_zipfile(_stream(content)):
            state = torch.load(_stream(content), map_location="cpu", weights_only=True)
        else:
            state = safetensors.torch.load(content)
    except Exception as error:  # torch and safetensors raise many kinds for damaged files
        raise damaged(str(error).splitlines()[0][:300] if str(error) else type(error).__name__) from error
    if isinstance(state, dict) and isinstance(state.get("model"), dict):
        state = state["model"]  # torchvision's reference training script
    if not isinstance(state, dict) or not state or not all(isinstance(t, Tensor) for t in state.values()):
        raise BadWeights("the file is not a state dict.", hint="Save it with torch.save(model.state_dict(), path).")
    return {str(name): tensor for name, tensor in state.items()}


def _adopt_torchvision(
    state: dict[str, Tensor], builder: str, labels: tuple[str, ...] | None, image_size: int | None, half: bool
) -> bytes:
    labels = checked_labels(_coco_labels(state) if labels is None else labels)
    size = _torchvision_size(builder, image_size)
    network = networks.torchvision_network(builder, len(labels), size, state)
    return _torchvision_file(builder, network, labels, size, half)


def _adopt_untrained(
    builder: str, labels: tuple[str, ...] | None, image_size: int | None, half: bool, seed: int
) -> bytes:
    if labels is None:
        raise BadWeights(f"{builder} is a model without labels.", hint="Give the labels it shall have.")
    labels, size = checked_labels(labels), _torchvision_size(builder, image_size)
    network = networks.torchvision_network(builder, len(labels), size, seed=seed)
    return _torchvision_file(builder, network, labels, size, half)


def _torchvision_size(builder: str, image_size: int | None) -> int:
    return checked_image_size(image_size or (320 if "320" in builder else _DEFAULT_IMAGE_SIZE))


def _torchvision_file(
    builder: str, network: torch.nn.Module, labels: tuple[str, ...], image_size: int, half: bool
) -> bytes:
    head = ModelHead(
        backend="torchvision",
        architecture={"builder": builder},
        labels=labels,
        image_size=image_size,
        embedding_dim=networks.torchvision_embedding_dim(network, image_size),
    )
    return write_weights(head, network.state_dict(), half=half)


def _coco_labels(state: Mapping[str, Tensor]) -> tuple[str, ...]:
    """The labels of torchvision's own weights, which have 91 outputs; a number makes its unused ones distinct."""
    outputs = {int(t.shape[0]) for name, t in state.items() if name.endswith("bias") and t.ndim == 1}
    if not any(count % 91 == 0 for count in outputs):
        raise BadWeights("the file does not name its classes.", hint="Give the labels in the order of the classes.")
    from torchvision.models._meta import _COCO_CATEGORIES

    names = _COCO_CATEGORIES[1:]
    return tuple(f"unused {index}" if name == "N/A" else str(name) for index, name in enumerate(names, start=1))
