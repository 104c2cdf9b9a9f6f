"""ultralytics' training loop on images and boxes that are in memory.

Import this module only after `networks.import_ultralytics()`: importing ultralytics by itself looks for the
network and writes into the user's home. Training changes settings of the whole process (random state, torch
threads), so it belongs into a process of its own.

Nothing of a data set is written: ultralytics would scan label files, repair JPEG files in place, which are
originals here, and fetch a font. Left out as well are its reports, plots and integrations.
"""

import collections
import copy
import json
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from ultralytics.data.build import build_dataloader
from ultralytics.data.dataset import YOLODataset
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.nn.tasks import load_checkpoint

from training.fine_tuning import LAST, Teller, Tuning, as_float32, decoded, finite, read_all, with_epoch
from training.recipe import TrainingRecipe
from training.training_image import TrainingImage


class UltralyticsTuning(DetectionTrainer):  # type: ignore[misc]  # ultralytics is untyped
    """A `FineTuning` of a network of ultralytics."""

    last: Path
    best: Path

    def __init__(self, run: Tuning) -> None:
        self._run = run
        self._images = {"train": list(run.train), "val": list(run.val) or list(run.train[:1])}
        self._saved_at = -math.inf
        self._teller = Teller(run.progress)
        self._batches = 0
        self.curves = _curves(run.folder) if run.resume else []
        threads = run.recipe.threads or torch.get_num_threads()
        super().__init__(overrides=_overrides(run), _callbacks=collections.defaultdict(list))
        torch.set_num_threads(threads)  # ultralytics has set its own choice
        if not self.resume:
            self.model = run.network
        self.add_callback("on_train_epoch_start", lambda _: self._start_epoch())
        self.add_callback("on_train_batch_end", lambda _: self._count_batch())
        self.add_callback("on_fit_epoch_end", lambda _: self._end_epoch())

    # --- data ----------------------------------------------------------------------------------------

    def get_dataset(self) -> dict[str, Any]:
        return {
            "train": "train",
            "val": "val",
            "names": dict(enumerate(self._run.labels)),
            "nc": len(self._run.labels),
            "channels": 3,
            "path": self.save_dir,
        }

    def get_dataloader(self, dataset_path: str, batch_size: int = 16, rank: int = 0, mode: str = "train") -> Any:
        dataset = _Images(self._images[mode], self._run, self.args, self.data, batch_size, train=mode == "train")
        return build_dataloader(
            dataset, batch_size, self.args.workers, shuffle=mode == "train", rank=rank, device=self.device
        )

    # --- checkpoints ---------------------------------------------------------------------------------

    def save_model(self) -> bool:
        """As ultralytics does, but each file appears whole or not at all, and not after every short epoch."""
        best = self._run.keeps_best and self.fitness is not None and self.best_fitness == self.fitness
        now = time.monotonic()
        if not best and now - self._saved_at < self._run.checkpoint_seconds:
            return False
        self._saved_at = now
        (self.save_dir / "curves.json").write_text(json.dumps([*self.curves, self._figures()]), encoding="ascii")
        partial = self.wdir / "partial.pt"
        last, self.last, kept, self.best = self.last, partial, self.best, partial
        try:
            super().save_model()
        finally:
            self.last, self.best = last, kept
        if best:
            shutil.copyfile(partial, self.wdir / "partial.best.pt")
            (self.wdir / "partial.best.pt").replace(self.best)
        partial.replace(self.last)
        return True

    def read_results_csv(self) -> dict[str, Any]:
        return {}

    def save_metrics(self, metrics: Mapping[str, float]) -> None:
        """Not into a file: see `curves`."""

    # --- validation ----------------------------------------------------------------------------------

    def validate(self) -> tuple[dict[str, float], float | None]:
        if not self._run.val:
            return {}, None
        metrics, fitness = super().validate()
        return metrics, fitness

    def final_eval(self) -> None:
        """Nothing: the weights are taken from memory, and whoever asked for them evaluates them."""

    def kept_state(self) -> dict[str, Tensor]:
        """The state dict that the recipe keeps: the best checkpoint's, or the moving average's, float32."""
        if self._run.keeps_best and self.best.exists():
            model, _ = load_checkpoint(str(self.best))
        else:
            model = self.ema.ema
        return as_float32(model.state_dict())

    # --- progress ------------------------------------------------------------------------------------

    def _start_epoch(self) -> None:
        self._batches = 0

    def _count_batch(self) -> None:
        self._batches += 1
        if self._batches < len(self.train_loader):
            self._teller.within_epoch((self.epoch + self._batches / len(self.train_loader)) / self.epochs)

    def _end_epoch(self) -> None:
        figures = self._figures()
        self.curves = with_epoch(self.curves, figures)
        self._teller.epoch((self.epoch + 1) / self.epochs, figures)

    def _figures(self) -> dict[str, float]:
        figures = {"epoch": float(self.epoch + 1), "lr": float(self.optimizer.param_groups[0]["lr"])}
        figures |= {str(name): float(value) for name, value in self.label_loss_items(self.tloss).items()}
        if self._run.val:
            # ultralytics marks figures of boxes by "(B)", which MLflow does not take in a name.
            figures |= {str(name).removesuffix("(B)"): float(value) for name, value in self.metrics.items()}
        return finite(figures)


def _curves(folder: Path) -> list[dict[str, float]]:
    try:
        curves: list[dict[str, float]] = json.loads((folder / "curves.json").read_bytes())
    except (OSError, ValueError):
        return []  # cut while it was written: only what a resumed run reports of its past
    return curves


class _Images(YOLODataset):  # type: ignore[misc]  # ultralytics is untyped
    def __init__(
        self,
        images: Sequence[TrainingImage],
        run: Tuning,
        settings: Any,
        data: dict[str, Any],
        batch: int,
        *,
        train: bool,
    ) -> None:
        self._images = list(images)
        self._decode, self._recipe = run.decode, run.recipe
        self._index = {label: index for index, label in enumerate(run.labels)}
        super().__init__(
            img_path="",
            imgsz=settings.imgsz,
            cache="ram",
            augment=train,
            hyp=copy.copy(settings),
            rect=False,
            batch_size=batch,
            data=data,
            task="detect",
        )

    def get_img_files(self, img_path: object) -> list[str]:
        return [str(image.path) for image in self._images]

    def get_labels(self) -> list[dict[str, Any]]:
        return [self._label(image) for image in self._images]

    def _label(self, image: TrainingImage) -> dict[str, Any]:
        corners = np.array([shape.box for shape in image.shapes], dtype=np.float32).reshape(-1, 4)
        boxes = np.concatenate([(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]], axis=1)
        boxes /= np.array([image.width, image.height, image.width, image.height], dtype=np.float32)
        return {
            "im_file": str(image.path),
            "shape": (image.height, image.width),
            "cls": np.array([[self._index[shape.label]] for shape in image.shapes], dtype=np.float32).reshape(-1, 1),
            "bboxes": boxes,
            "segments": [],
            "keypoints": None,
            "normalized": True,
            "bbox_format": "xywh",
        }

    def cache_images(self) -> None:
        """Decode all images, without the progress bar of ultralytics."""
        for i, read in enumerate(read_all(self.load_image, range(self.ni), self._recipe)):
            self.ims[i], self.im_hw0[i], self.im_hw[i] = read

    def load_image(self, i: int, rect_mode: bool = True, resize_short: bool = False) -> Any:
        """As ultralytics does, but the pixels are decoded the way up in which the boxes were drawn."""
        if self.ims[i] is not None:
            return self.ims[i], self.im_hw0[i], self.im_hw[i]
        pixels = np.ascontiguousarray(decoded(self._images[i], self._decode)[:, :, ::-1])  # BGR
        height, width = pixels.shape[:2]
        scale = self.imgsz / max(height, width)
        if scale != 1:
            size = (min(math.ceil(width * scale), self.imgsz), min(math.ceil(height * scale), self.imgsz))
            pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR).astype(np.uint8, copy=False)
        return pixels, (height, width), pixels.shape[:2]


def _overrides(run: Tuning) -> dict[str, Any]:
    settings = trainer_settings(run.recipe, run.image_size, run.folder, keeps_best=run.keeps_best)
    return settings | ({"resume": str(run.folder / LAST)} if run.resume else {})


def trainer_settings(
    recipe: TrainingRecipe, image_size: int, folder: Path, *, keeps_best: bool = False
) -> dict[str, Any]:
    """The recipe in ultralytics' words. keeps_best: of the epochs, as validation tells."""
    return {
        "task": "detect",
        "mode": "train",
        "model": "from memory",
        "save_dir": str(folder),
        "exist_ok": True,
        "epochs": recipe.epochs,
        "imgsz": image_size,
        "batch": recipe.batch,
        # An optimiser step per batch: ultralytics gathers 64 images first, too few steps for short fine-tuning.
        "nbs": recipe.batch,
        "seed": recipe.seed,
        "deterministic": True,
        "optimizer": "RMSprop" if recipe.optimizer == "RMSProp" else recipe.optimizer,
        "lr0": recipe.learning_rate,
        "lrf": recipe.final_learning_rate,
        "momentum": recipe.momentum,
        "weight_decay": recipe.weight_decay,
        "warmup_epochs": recipe.warmup_epochs,
        # The default of 0.1 is meant for SGD from random weights; it would wreck a trained head.
        "warmup_bias_lr": 0.0,
        "freeze": recipe.freeze or None,
        "patience": recipe.patience if keeps_best else 0,
        "mosaic": recipe.mosaic,
        "close_mosaic": recipe.plain_epochs,
        "fliplr": recipe.flip,
        "scale": recipe.scale,
        "translate": recipe.translate,
        "degrees": recipe.degrees,
        "hsv_h": recipe.hue,
        "hsv_s": recipe.saturation,
        "hsv_v": recipe.brightness,
        "device": recipe.device.removeprefix("cuda:") if recipe.device != "cuda" else "0",
        "workers": recipe.workers,
        "cache": "ram",
        "val": keeps_best,
        "amp": False,  # the check for it downloads a model
        "plots": False,
        "verbose": False,
        "save": True,
    }
