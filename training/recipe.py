"""How a model is fine-tuned: frozen, checked, and written into the cycle as JSON."""

import dataclasses
import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from loop.domain.errors import Invalid

Optimizer = Literal["AdamW", "Adam", "NAdam", "RAdam", "RMSProp", "SGD"]
Keep = Literal["last", "best"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRecipe:
    """The settings of one fine-tuning; raises Invalid for a value out of its range.

    epochs: passes over the training images, 1 to 10,000.
    image_size: side of the square input in pixels, a multiple of 32 from 64 to 4096; None: the model's own.
    batch: images per optimiser step, 1 to 1,024.
    seed: fixes the order of the images, the augmentation and the weights of new classes.
    optimizer, learning_rate: its name and its first step size, in (0, 1].
    final_learning_rate: the last step size as a share of the first, in (0, 1]; falls linearly.
    weight_decay: L2 penalty on weights (not on biases or normalisation), in [0, 1].
    warmup_epochs: epochs in which the step size rises from 0, at least 0.
    freeze: that many layers from the input on stay as they are, at least 0.
    keep: `last` takes the moving average of the weights after the last epoch; `best` validates after each
        epoch and takes the best by ultralytics' fitness (0.1 mAP50 + 0.9 mAP50-95; needs validation images).
    patience: with `best`, stop after that many epochs without improvement; 0 never stops early.
    mosaic: probability in [0, 1] of composing an image from four; off in the last third of the epochs, at most
        ten (Ge et al., YOLOX, 2021).
    flip: probability in [0, 1] of mirroring left to right; 0 where mirror images mean something else, as with
        digits and text.
    scale, translate: largest random zoom and shift as shares of the image, in [0, 1).
    degrees: largest random rotation, in [0, 180].
    hue, saturation, brightness: largest random change as a share, in [0, 1].
    device: cpu, mps, cuda or cuda:N. threads: CPU threads of torch, 0 for torch's choice.
    workers: processes that load images (used on a GPU only), at least 0.
    """

    epochs: int = 30
    image_size: int | None = None
    batch: int = 16
    seed: int = 0
    optimizer: Optimizer = "AdamW"
    learning_rate: float = 0.001
    final_learning_rate: float = 0.05
    weight_decay: float = 0.0005
    warmup_epochs: float = 1.0
    freeze: int = 0
    keep: Keep = "last"
    patience: int = 0
    mosaic: float = 1.0
    flip: float = 0.5
    scale: float = 0.5
    translate: float = 0.1
    degrees: float = 0.0
    hue: float = 0.015
    saturation: float = 0.7
    brightness: float = 0.4
    device: str = "cpu"
    threads: int = 0
    workers: int = 0

    def __post_init__(self) -> None:
        for name, (kind, low, high) in _RANGES.items():
            _check_number(name, getattr(self, name), kind, low, high)
        if self.image_size is not None:
            _check_number("image_size", self.image_size, int, 64, 4096)
            if self.image_size % 32:
                raise _refused("image_size", self.image_size, "a multiple of 32")
        for name, allowed in (("optimizer", get_args(Optimizer)), ("keep", get_args(Keep))):
            if getattr(self, name) not in allowed:
                raise _refused(name, getattr(self, name), "one of " + ", ".join(allowed))
        if not isinstance(self.device, str) or not self.device:
            raise _refused("device", self.device, "cpu, mps, cuda or cuda:N")

    @property
    def momentum(self) -> float:
        """Of the optimiser: the first beta of the adaptive ones."""
        return 0.9 if self.optimizer in _ADAPTIVE else 0.937

    @property
    def plain_epochs(self) -> int:
        """The last epochs, in which no image is composed from four."""
        return min(10, self.epochs // 3)

    def to_json(self) -> dict[str, object]:
        """Plain values; `TrainingRecipe.from_json` gives the same recipe back."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> "TrainingRecipe":
        """The recipe with these values, defaults where there is none. Raises Invalid, naming an unknown key and
        the nearest one that exists."""
        known = [field.name for field in dataclasses.fields(cls)]
        for key in values:
            if key not in known:
                nearest = difflib.get_close_matches(key, known, n=1)
                raise Invalid(
                    f"the training recipe has no setting {key!r}.",
                    hint=f"Did you mean {nearest[0]!r}?" if nearest else f"It has: {', '.join(known)}.",
                    key=key,
                )
        chosen: dict[str, Any] = dict(values)
        return cls(**chosen)


_ADAPTIVE = ("AdamW", "Adam", "NAdam", "RAdam")
_RANGES: dict[str, tuple[type, float, float]] = {
    "epochs": (int, 1, 10_000),
    "batch": (int, 1, 1_024),
    "seed": (int, 0, 2**31 - 1),
    "learning_rate": (float, 1e-12, 1),
    "final_learning_rate": (float, 1e-12, 1),
    "weight_decay": (float, 0, 1),
    "warmup_epochs": (float, 0, 1_000),
    "freeze": (int, 0, 1_000),
    "patience": (int, 0, 10_000),
    "mosaic": (float, 0, 1),
    "flip": (float, 0, 1),
    "scale": (float, 0, 0.99),
    "translate": (float, 0, 0.99),
    "degrees": (float, 0, 180),
    "hue": (float, 0, 1),
    "saturation": (float, 0, 1),
    "brightness": (float, 0, 1),
    "threads": (int, 0, 1_024),
    "workers": (int, 0, 256),
}


def _check_number(name: str, value: object, kind: type, low: float, high: float) -> None:
    kinds = (int,) if kind is int else (int, float)
    fits = isinstance(value, kinds) and not isinstance(value, bool) and math.isfinite(value)
    if not fits or not low <= value <= high:  # type: ignore[operator]
        what = "a whole number" if kind is int else "a number"
        raise _refused(name, value, f"{what} from {low:g} to {high:g}")


def _refused(name: str, value: object, wanted: str) -> Invalid:
    return Invalid(f"{name} is {value!r}, which the training cannot use.", hint=f"Use {wanted}.", key=name)
