"""The training loop for detectors of torchvision: Faster R-CNN, RetinaNet, FCOS, SSDlite.

After torchvision's references/detection, on the recipe that all trainings have: steps that warm up and fall linearly,
clipped gradients, a moving average of the weights. It changes settings of the whole process (random state, torch
threads), so it belongs into a process of its own.

The random state is set anew at each epoch, so that a run that was cut and goes on at a checkpoint ends in the weights
that it would have had without the cut.
"""

import copy
import io
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from training.evaluate import Found, Truth, evaluate
from training.fine_tuning import BEST, LAST, Teller, Tuning, as_float32, finite, with_epoch, write_whole
from training.networks import torchvision_body
from training.recipe import TrainingRecipe
from training.torchvision_images import Sample, Scenes, on, together

_CLIPPED = 10.0  # the norm of gradients: a few steps on odd images shall not undo what was learned
# A backbone that has learned from far more images than these follows them slowly (Carion et al., DETR, ECCV 2020).
_BACKBONE_SHARE = 0.1
# ultralytics' moving average: it begins as the weights themselves, and comes to remember 10,000 steps.
_DECAY, _DECAY_STEPS = 0.9999, 2000
_EVALUATION_FLOOR = 0.01  # score from which detections are validated
_MOST_EPOCHS = 10_000  # of a recipe


class TorchvisionTuning:
    """A `FineTuning` of a network of torchvision."""

    def __init__(self, run: Tuning) -> None:
        self._run = run
        self._device = torch.device(run.recipe.device)
        torch.use_deterministic_algorithms(True, warn_only=True)
        if run.recipe.threads:
            torch.set_num_threads(run.recipe.threads)
        self._network = _placed(run.network, self._device)
        self._kept_as_they_are = [*_frozen_layers(run.network, run.recipe.freeze), *_learned_norms(run.network)]
        for module in self._kept_as_they_are:
            module.requires_grad_(False)
        self._scenes = Scenes(run, run.train, changed=True)
        self._judged = Scenes(run, run.val if run.keeps_best else (), changed=False)
        self._optimizer = _optimizer(run.network, run.recipe)
        self._average = _Average(run.network)
        self._teller = Teller(run.progress)
        self._epoch = 0  # done
        self._best, self._best_epoch = -math.inf, 0
        self._saved_at = -math.inf
        self.curves: list[dict[str, float]] = []
        (run.folder / LAST).parent.mkdir(parents=True, exist_ok=True)
        if run.resume:
            self._restore()

    def train(self) -> None:
        while self._epoch < self._run.recipe.epochs and not self._out_of_patience:
            # Of the seed and the epoch alone, see above.
            torch.manual_seed(self._run.recipe.seed * _MOST_EPOCHS + self._epoch)
            figures = {"epoch": self._epoch + 1.0} | self._learn(self._loader())
            self._epoch += 1
            improved = False
            if self._run.keeps_best:
                validated = self._validated()
                improved = self._compare(validated)
                figures |= validated
            self.curves = with_epoch(self.curves, figures := finite(figures))
            self._save(improved)
            self._teller.epoch(self._epoch / self._run.recipe.epochs, figures)

    def kept_state(self) -> dict[str, Tensor]:
        best = self._run.folder / BEST
        if self._run.keeps_best and best.is_file():
            return as_float32(torch.load(best, map_location="cpu", weights_only=True))
        return as_float32({name: tensor.cpu() for name, tensor in self._average.network.state_dict().items()})

    # --- one epoch -----------------------------------------------------------------------------------

    def _loader(self) -> DataLoader[Sample]:
        recipe = self._run.recipe
        self._scenes.mosaic = self._epoch < recipe.epochs - recipe.plain_epochs
        workers = 0 if self._device.type == "cpu" else recipe.workers
        return DataLoader(self._scenes, recipe.batch, shuffle=True, num_workers=workers, collate_fn=together)

    def _learn(self, loader: DataLoader[Sample]) -> dict[str, float]:
        """All steps of an epoch; the means of its losses, and its last step size."""
        sums: dict[str, float] = {}
        size = 0.0
        for step, (images, targets) in enumerate(loader):
            size = self._set_step_size(step, len(loader))
            for name, loss in self._step(images, targets).items():
                sums[name] = sums.get(name, 0.0) + loss / len(loader)
            if step + 1 < len(loader):
                self._teller.within_epoch((self._epoch + (step + 1) / len(loader)) / self._run.recipe.epochs)
        return {"lr": size, **{f"train/{name}": value for name, value in sums.items()}}

    def _step(self, images: Sequence[Tensor], targets: Sequence[Mapping[str, Tensor]]) -> dict[str, float]:
        self._learning(len(images))
        losses: dict[str, Tensor] = self._network(
            [pixels.to(self._device) for pixels in images], [on(self._device, target) for target in targets]
        )
        total = torch.stack([*losses.values()]).sum()
        if not torch.isfinite(total):
            raise FloatingPointError("the loss is nan or infinite")
        self._optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._network.parameters(), _CLIPPED)
        self._optimizer.step()
        self._average.follow(self._network)
        return {name: float(loss.detach()) for name, loss in losses.items()}

    def _learning(self, images: int) -> None:
        """Into the mode for training. Normalisation by what a batch of one image says of itself says nothing."""
        self._network.train()
        if images == 1:
            for norm in _norms(self._network):
                norm.eval()
        for module in self._kept_as_they_are:
            module.eval()

    def _set_step_size(self, step: int, steps: int) -> float:
        """Of step `step` of the present epoch, which has `steps`; at most half of all steps warm up."""
        recipe = self._run.recipe
        warming = min(round(recipe.warmup_epochs * steps), recipe.epochs * steps // 2)
        warm = min(1.0, (self._epoch * steps + step + 1) / (warming + 1))
        left = 1.0 - self._epoch / recipe.epochs
        factor = warm * (recipe.final_learning_rate + (1.0 - recipe.final_learning_rate) * left)
        for group in self._optimizer.param_groups:
            group["lr"] = group["peak"] * factor
        return recipe.learning_rate * factor

    # --- validation ----------------------------------------------------------------------------------

    def _validated(self) -> dict[str, float]:
        run = self._run
        found, truth = [], []
        for images, targets in DataLoader(self._judged, run.recipe.batch, collate_fn=together):
            with torch.inference_mode():
                answers = self._average.network([pixels.to(self._device) for pixels in images])
            found += [_found(one) for one in answers]
            truth += [Truth(target["boxes"].numpy(), target["labels"].numpy() - 1) for target in targets]
        figures = evaluate(found, truth, n_classes=len(run.labels))
        return {"metrics/mAP50": figures.map50, "metrics/mAP50-95": figures.map50_95}

    def _compare(self, figures: Mapping[str, float]) -> bool:
        """Whether this epoch is the best so far, by ultralytics' fitness."""
        fitness = 0.1 * figures["metrics/mAP50"] + 0.9 * figures["metrics/mAP50-95"]
        if not fitness > self._best:
            return False
        self._best, self._best_epoch = fitness, self._epoch
        return True

    @property
    def _out_of_patience(self) -> bool:
        patience = self._run.recipe.patience
        return self._run.keeps_best and 0 < patience <= self._epoch - self._best_epoch

    # --- checkpoints ---------------------------------------------------------------------------------

    def _save(self, improved: bool) -> None:
        now = time.monotonic()
        if not improved and now - self._saved_at < self._run.checkpoint_seconds:
            return
        self._saved_at = now
        if improved:
            write_whole(self._run.folder / BEST, _saved(self._average.network.state_dict()))
        checkpoint = {
            "network": self._network.state_dict(),
            "average": self._average.network.state_dict(),
            "steps": self._average.steps,
            "optimizer": self._optimizer.state_dict(),
            "epoch": self._epoch,
            "best": (self._best, self._best_epoch),
            "curves": self.curves,
        }
        write_whole(self._run.folder / LAST, _saved(checkpoint))

    def _restore(self) -> None:
        checkpoint = torch.load(self._run.folder / LAST, map_location=self._device, weights_only=True)
        self._network.load_state_dict(checkpoint["network"])
        self._average.network.load_state_dict(checkpoint["average"])
        self._average.steps = checkpoint["steps"]
        self._optimizer.load_state_dict(checkpoint["optimizer"])
        self._epoch = checkpoint["epoch"]
        self._best, self._best_epoch = checkpoint["best"]
        self.curves = checkpoint["curves"]


class _Average:
    """The moving average of a network's weights. steps: that it has followed."""

    def __init__(self, network: nn.Module) -> None:
        self.network: Any = copy.deepcopy(network).eval().requires_grad_(False)
        self.steps = 0
        # Faster R-CNN keeps its limit on its second stage.
        getattr(self.network, "roi_heads", self.network).score_thresh = _EVALUATION_FLOOR

    def follow(self, network: nn.Module) -> None:
        self.steps += 1
        decay = _DECAY * (1.0 - math.exp(-self.steps / _DECAY_STEPS))
        latest = network.state_dict()
        for name, tensor in self.network.state_dict().items():
            if tensor.is_floating_point():
                tensor.lerp_(latest[name], 1.0 - decay)
            else:
                tensor.copy_(latest[name])


def _placed(network: nn.Module, device: torch.device) -> nn.Module:
    try:
        return network.to(device)
    except (RuntimeError, AssertionError) as error:  # torch says "not compiled with CUDA" by assertion
        raise RuntimeError(f"{device} cannot be used: {error}") from error


def _norms(network: nn.Module) -> Iterator[nn.BatchNorm2d]:
    return (module for module in network.modules() if isinstance(module, nn.BatchNorm2d))


def _has_learned(norm: nn.BatchNorm2d) -> bool:
    mean, variance = norm.running_mean, norm.running_var
    return mean is not None and variance is not None and not (bool((mean == 0).all()) and bool((variance == 1).all()))


def _learned_norms(network: nn.Module) -> list[nn.Module]:
    """Normalisation that has statistics of other images keeps them, as torchvision has it: those of the few images of
    a batch are worse. Where there are none yet, they are learned."""
    return [norm for norm in _norms(network) if _has_learned(norm)]


def _frozen_layers(network: nn.Module, count: int) -> list[nn.Module]:
    """The first `count` layers of the backbone's body."""
    body: Any = torchvision_body(network)
    if hasattr(body, "extra"):  # SSD's, whose layers are two levels down
        layers = [*(layer for block in body.features for layer in block), *body.extra]
    else:
        layers = [*body.children()]
    return layers[:count]


def _optimizer(network: nn.Module, recipe: TrainingRecipe) -> torch.optim.Optimizer:
    """Biases and normalisation do not decay; a backbone that has learned takes smaller steps. `peak` of a group is
    what its step size falls from."""
    body = torchvision_body(network)
    trained = any(_has_learned(norm) for norm in _norms(body))
    slow = {id(parameter) for parameter in body.parameters()} if trained else set()
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter in network.parameters():
        peak = recipe.learning_rate * (_BACKBONE_SHARE if id(parameter) in slow else 1.0)
        decay = recipe.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((peak, decay), []).append(parameter)
    parameters = [{"params": one, "peak": peak, "weight_decay": decay} for (peak, decay), one in groups.items()]
    made: torch.optim.Optimizer = _OPTIMIZERS[recipe.optimizer](parameters, recipe)
    return made


def _adaptive(kind: Any) -> Any:
    return lambda groups, recipe: kind(groups, lr=recipe.learning_rate, betas=(recipe.momentum, 0.999))


_OPTIMIZERS: dict[str, Any] = {
    "AdamW": _adaptive(torch.optim.AdamW),
    "Adam": _adaptive(torch.optim.Adam),
    "NAdam": _adaptive(torch.optim.NAdam),
    "RAdam": _adaptive(torch.optim.RAdam),
    "RMSProp": lambda groups, recipe: torch.optim.RMSprop(groups, lr=recipe.learning_rate, momentum=recipe.momentum),
    "SGD": lambda groups, recipe: torch.optim.SGD(
        groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=True
    ),
}


def _found(answer: Mapping[str, Tensor]) -> Found:
    """By labels counted from 0. RetinaNet and FCOS have scores of the background, too."""
    kept = answer["labels"] > 0
    boxes, scores, labels = (answer[name][kept].cpu().numpy() for name in ("boxes", "scores", "labels"))
    return Found(boxes, scores, labels - 1)


def _saved(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()
