"""A detector that learns within seconds on one core: the frozen COCO body of YOLOv5n, and a head that is trained anew.

What the body sees of an image is computed once (`Seen`); each training and prediction begins there.
"""

import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.fod import coco_start
from benchmarks.learning.pools import Picture
from loop.domain.prediction import Inference
from serving.backends.candidates import dense_inference
from serving.backends.objects import with_objects
from serving.backends.pooling import pooled
from training.head import head_json, read_head
from training.letterbox import Placement, letterboxed
from training.networks import body_layer, detect_head, import_ultralytics, ultralytics_network
from training.weights import read_weights

SIZE = 160
_BATCH = 16
_AT_ONCE = 64
_FLOOR = 0.01
_CHANNELS = (64, 128, 256)  # of the body's levels
_STRIDES = (8.0, 16.0, 32.0)
_WIDTH = 48  # of the head's branches
# Tried on 1,608 frames of fod_a at 150 steps: rates 0.003, 0.01, 0.03, 0.06 and priors -4.6, -8, -10.
_RATE = 0.03
_PRIOR = -8.0


@dataclass(frozen=True, slots=True)
class Seen:
    """levels: (n, c, h, w) float16 of each level. mirrored: of the mirrored images; empty where that means something
    else. embeddings: (n, d) float32, L2-normalised. placements: where each image lies in the square."""

    levels: list[NDArray[np.float16]]
    mirrored: list[NDArray[np.float16]]
    embeddings: NDArray[np.float32]
    placements: list[Placement]


@dataclass(frozen=True, slots=True)
class Truths:
    """classes: of each image (m,). boxes: (m, 4) centre and size as shares of the square."""

    classes: list[Tensor]
    boxes: list[Tensor]


def seen(pictures: Sequence[Picture], *, mirrored: bool, cache: Path) -> Seen:
    """From the cache where the same pictures were looked at before."""
    digest = hashlib.sha256(json.dumps([SIZE, head_json(read_head(coco_start(("object",), SIZE)))]).encode())
    for picture in pictures:
        digest.update(picture.pixels.tobytes())
    folder = cache / digest.hexdigest()[:16]
    ways = (False, True) if mirrored else (False,)
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as partial:
            _look(pictures, ways, Path(partial))
            Path(partial).rename(folder)
            Path(partial).mkdir()  # for the context to remove
    placements = [letterboxed([picture.pixels], SIZE)[1][0] for picture in pictures]
    levels = [[np.load(folder / f"{int(way)}-{n}.npy", mmap_mode="r") for n in range(3)] for way in ways]
    return Seen(levels[0], levels[1] if mirrored else [], np.load(folder / "embeddings.npy"), placements)


def truths(pictures: Sequence[Picture], placements: Sequence[Placement], labels: tuple[str, ...]) -> Truths:
    classes = [torch.tensor([float(labels.index(s.label)) for s in picture.shapes]) for picture in pictures]
    boxes = [_in_square(picture, placement) for picture, placement in zip(pictures, placements, strict=True)]
    return Truths(classes, boxes)


class Head(nn.Module):
    """ultralytics' detection head with branches of two layers, which learn as fast in half the time. The same start for
    the same `seed`."""

    def __init__(self, labels: int, seed: int) -> None:
        super().__init__()
        import_ultralytics()
        from ultralytics.nn.modules import Detect

        torch.manual_seed(seed)
        detect = Detect(labels, ch=_CHANNELS)
        detect.stride = torch.tensor(_STRIDES)
        for branch in (detect.cv2, detect.cv3):
            for level, channels in enumerate(_CHANNELS):
                branch[level] = _branch(channels, branch[level][-1].out_channels)
        detect.bias_init()
        for layers in detect.cv3:
            layers[-1].bias.data.fill_(_PRIOR)
        self.model = nn.ModuleList([detect])  # where ultralytics' loss looks for it
        self.args = SimpleNamespace(box=7.5, cls=0.5, dfl=1.5, epochs=1)

    def fit(self, what: Seen, truth: Truths, rows: NDArray[np.intp], *, steps: int, seed: int) -> "Head":
        """`steps` steps of AdamW on images `rows`, half of them mirrored where that is allowed."""
        from ultralytics.utils.loss import v8DetectionLoss

        rng = np.random.default_rng(seed)
        self.train()
        loss = v8DetectionLoss(self)
        optimizer = torch.optim.AdamW(self.parameters(), lr=_RATE, weight_decay=5e-4)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps, pct_start=0.15)
        for batch in _batches(rows, steps, rng):
            flip = bool(what.mirrored) and rng.random() < 0.5
            levels = [torch.from_numpy(np.stack([level[i] for i in batch])).float() for level in _way(what, flip)]
            total, _ = loss(self.model[0](levels), _target(truth, batch, flip))
            optimizer.zero_grad()
            total.sum().backward()
            optimizer.step()
            schedule.step()
        return self.eval()

    @torch.inference_mode()
    def predict(self, what: Seen, rows: NDArray[np.intp], *, objects: bool = False) -> list[Inference]:
        """In the order of `rows`; `objects`: with the embeddings of detections that the service gives."""
        found: list[Inference] = []
        for start in range(0, len(rows), _AT_ONCE):
            part = rows[start : start + _AT_ONCE]
            levels = [torch.from_numpy(np.asarray(level[part])).float() for level in what.levels]
            decoded, _ = self.model[0](levels)
            placements = [what.placements[i] for i in part]
            answers = [
                dense_inference(row, placement, what.embeddings[i], _FLOOR)
                for row, placement, i in zip(decoded.numpy(), placements, part, strict=True)
            ]
            found += with_objects(answers, placements, levels[0].numpy(), SIZE) if objects else answers
        return found


def _branch(channels: int, outputs: int) -> nn.Sequential:
    inner = nn.Conv2d(channels, _WIDTH, 3, padding=1, bias=False)
    return nn.Sequential(inner, nn.BatchNorm2d(_WIDTH), nn.SiLU(), nn.Conv2d(_WIDTH, outputs, 1))


def _batches(rows: NDArray[np.intp], steps: int, rng: np.random.Generator) -> Iterator[NDArray[np.intp]]:
    """Epoch after epoch in new orders; of fewer images than a batch has, each as often as it fits."""
    waiting = np.empty(0, dtype=np.intp)
    for _ in range(steps):
        while len(waiting) < _BATCH:
            waiting = np.concatenate([waiting, rng.permutation(rows)])
        yield waiting[:_BATCH]
        waiting = waiting[_BATCH:]


def _way(what: Seen, flip: bool) -> list[NDArray[np.float16]]:
    return what.mirrored if flip else what.levels


def _target(truth: Truths, batch: NDArray[np.intp], flip: bool) -> dict[str, Tensor]:
    boxes = torch.cat([truth.boxes[i] for i in batch])
    if flip:
        boxes = boxes * torch.tensor([-1.0, 1.0, 1.0, 1.0]) + torch.tensor([1.0, 0.0, 0.0, 0.0])
    number = torch.cat([torch.full((len(truth.classes[i]),), float(at)) for at, i in enumerate(batch)])
    return {"batch_idx": number, "cls": torch.cat([truth.classes[i] for i in batch])[:, None], "bboxes": boxes}


def _in_square(picture: Picture, place: Placement) -> Tensor:
    corners = np.array([shape.box for shape in picture.shapes], dtype=np.float32).reshape(-1, 4)
    corners = place.placed(corners)
    middle, size = (corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2]
    return torch.from_numpy((np.concatenate([middle, size], axis=1) / SIZE).astype(np.float32))


def _look(pictures: Sequence[Picture], ways: Sequence[bool], folder: Path) -> None:
    head, state = read_weights(coco_start(("object",), SIZE))
    network = ultralytics_network(head.architecture, 1, state)
    kept: list[Tensor] = []
    body: list[Tensor] = []
    detect_head(network).register_forward_pre_hook(lambda _, inputs: kept.__setitem__(slice(None), inputs[0]))
    body_layer(network)[0].register_forward_hook(lambda _, _inputs, output: body.__setitem__(slice(None), [output]))
    for way in ways:
        levels: list[list[NDArray[np.float16]]] = [[], [], []]
        embeddings = []
        for start in range(0, len(pictures), _AT_ONCE):
            pixels, _ = letterboxed([one.pixels for one in pictures[start : start + _AT_ONCE]], SIZE)
            inputs = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255.0
            with torch.inference_mode():
                network(inputs.flip(3) if way else inputs)
                embeddings.append(pooled(body[0]).numpy())
            for own, level in zip(levels, kept, strict=True):
                own.append(level.half().numpy())
        for number, own in enumerate(levels):
            np.save(folder / f"{int(way)}-{number}.npy", np.concatenate(own))
        if not way:
            np.save(folder / "embeddings.npy", np.concatenate(embeddings))
