"""Fine-tunes a detector on the images of a snapshot."""

import hashlib
import json
import shutil
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from loop.domain.errors import AskanceError, BadDataset, CycleFailed, OutOfMemory, UnknownLabel
from loop.domain.model import ModelHead
from training import networks
from training.fine_tuning import LAST, FineTuning, Tuning, write_whole
from training.head import checked_image_size, checked_labels
from training.recipe import TrainingRecipe
from training.training_image import Decode, Progress, TrainingImage
from training.weights import read_weights, write_weights


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """weights: a model file (training.weights), float32, and its head. metrics: the figures of the last epoch.
    curves: one dictionary per epoch, with its number under `epoch`, counted from 1."""

    weights: bytes
    head: ModelHead
    metrics: Mapping[str, float]
    curves: list[dict[str, float]]


def train(
    *,
    start: bytes,
    images: Sequence[TrainingImage],
    val: Sequence[TrainingImage],
    labels: tuple[str, ...],
    recipe: TrainingRecipe,
    workdir: Path,
    progress: Progress,
    resume: bool = False,
    checkpoint_seconds: float = 10.0,
    decode: Decode | None = None,
    renamed: Mapping[str, str] | None = None,
) -> TrainedModel:
    """Fine-tune the model file `start` on `images`, for `labels`, which may differ from its own.

    Equal inputs give equal weights on one machine and thread count. Labels keep what the model knows of them by
    name, or by the name that `renamed` says they had. `val` may be empty; then nothing is validated and the recipe's
    `keep` is `last`.

    workdir: for checkpoints, at most one in `checkpoint_seconds` seconds, and the result. With `resume` a run of
    the same inputs that was cut goes on at its last checkpoint, and a finished one is answered from there.
    decode: how the service reads images, so that training sees the same pixels; None: OpenCV's way.
    Changes settings of the process (random state, torch threads): give it one of its own (training.launch).

    Raises BadWeights, BadDataset, UnknownLabel for inputs that cannot be used, OutOfMemory where memory does not
    suffice, CycleFailed where the training diverges. What `progress` raises ends the run.
    """
    head, state = read_weights(start)
    labels = checked_labels(labels)
    _check(images, labels)
    _check(val, labels)
    if not images:
        raise BadDataset("there are no images to train on.", hint="Review or import some first.")
    size = checked_image_size(recipe.image_size or head.image_size)
    identity = _identity(start, images, val, labels, recipe, renamed or {})
    folder = _Folder.of(workdir, identity, resume)
    if (done := folder.result()) is not None:
        progress(1.0, done.metrics)
        return done
    known = tuple((renamed or {}).get(label, label) for label in head.labels)
    head, network = networks.relabelled(head, state, known, labels, size, seed=recipe.seed)
    run = Tuning(
        network=network,
        labels=labels,
        train=images,
        val=val,
        recipe=recipe,
        image_size=size,
        folder=folder.run,
        resume=folder.resumable,
        checkpoint_seconds=checkpoint_seconds,
        progress=progress,
        decode=decode,
    )
    trained = _fine_tuned(head, run)
    folder.keep(trained)
    return trained


def _check(images: Sequence[TrainingImage], labels: tuple[str, ...]) -> None:
    for image in images:
        for shape in image.shapes:
            if shape.label not in labels:
                raise UnknownLabel(
                    f"the image {image.path} has a shape with the unexpected label {shape.label!r}.",
                    hint=f"Known labels: {', '.join(labels)}.",
                    label=shape.label,
                )


def _identity(
    start: bytes,
    images: Sequence[TrainingImage],
    val: Sequence[TrainingImage],
    labels: tuple[str, ...],
    recipe: TrainingRecipe,
    renamed: Mapping[str, str],
) -> str:
    """SHA-256 of all that decides the result, so that no run goes on as another."""
    data = [
        [[str(i.path), i.width, i.height, [[s.label, s.box] for s in i.shapes]] for i in part] for part in (images, val)
    ]
    body = [hashlib.sha256(start).hexdigest(), data, labels, recipe.to_json(), *([dict(renamed)] if renamed else [])]
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _fine_tuned(head: ModelHead, run: Tuning) -> TrainedModel:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch on operations without a deterministic form
            tuning = _tuning(head.backend, run)
            tuning.train()
            state = tuning.kept_state()
    except AskanceError:
        raise
    except (MemoryError, RuntimeError, ValueError, FloatingPointError) as error:
        raise _failure(error, run.recipe, run.image_size) from error
    weights = write_weights(head, state)
    return TrainedModel(weights, head, tuning.curves[-1] if tuning.curves else {}, tuning.curves)


def _tuning(backend: str, run: Tuning) -> FineTuning:
    if backend == "torchvision":
        from training.torchvision_tuning import TorchvisionTuning

        return TorchvisionTuning(run)
    networks.import_ultralytics()
    from training.ultralytics_tuning import UltralyticsTuning

    return UltralyticsTuning(run)


def _failure(error: Exception, recipe: TrainingRecipe, size: int) -> CycleFailed:
    reason = str(error)
    memory = isinstance(error, MemoryError) or any(
        sign in reason.lower() for sign in ("out of memory", "not enough memory", "can't allocate memory")
    )
    if memory:
        return OutOfMemory(
            f"the training ran out of memory at {recipe.batch} images of {size} pixels a step.",
            hint="Lower training.batch or training.image_size, or train on a larger machine.",
        )
    if "nan" in reason.lower():
        return CycleFailed(
            "the training diverged: its loss is not finite.",
            hint="Lower training.learning_rate, for example to a third.",
        )
    first_line = reason.splitlines()[0] if reason else type(error).__name__
    return CycleFailed(f"the training failed: {first_line}", hint="Check the training settings and the device.")


@dataclass(frozen=True, slots=True)
class _Folder:
    """The scratch folder of one training: whose it is, its checkpoints, its result."""

    path: Path

    @classmethod
    def of(cls, path: Path, identity: str, resume: bool) -> "_Folder":
        """The folder, emptied unless the run that it holds is this one and shall go on."""
        folder, owner = cls(path), path / "identity"
        same = owner.is_file() and owner.read_text(encoding="ascii", errors="replace") == identity
        if not (resume and same):
            shutil.rmtree(path, ignore_errors=True)
            path.mkdir(parents=True, exist_ok=True)
            write_whole(owner, identity.encode())
        return folder

    @property
    def run(self) -> Path:
        return self.path / "run"

    @property
    def resumable(self) -> bool:
        return (self.run / LAST).is_file()

    def keep(self, trained: TrainedModel) -> None:
        write_whole(self.path / "curves.json", json.dumps(trained.curves).encode())
        write_whole(self.path / "result.safetensors", trained.weights)
        shutil.rmtree(self.run, ignore_errors=True)

    def result(self) -> TrainedModel | None:
        """What a finished run of this folder gave."""
        if not (self.path / "result.safetensors").is_file():
            return None
        weights = (self.path / "result.safetensors").read_bytes()
        head, _ = read_weights(weights)
        curves = json.loads((self.path / "curves.json").read_bytes())
        return TrainedModel(weights, head, curves[-1] if curves else {}, curves)
