"""What the training of torchvision's detectors promises beyond tests/test_train.py, which holds for both libraries."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torchvision import tv_tensors

from loop.domain.errors import CycleFailed
from serving.backends.load import load_detector
from tests.pictures import LABELS, SIZE, pictures
from tests.test_train import RECIPE, run
from tests.tiny_models import tiny_torchvision
from training import networks
from training.recipe import TrainingRecipe
from training.torchvision_images import Change
from training.training_image import TrainingImage
from training.weights import adopt, read_weights, write_weights

ONCE = replace(RECIPE, epochs=1)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[TrainingImage]:
    return pictures(tmp_path_factory.mktemp("pictures"), 8)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, images: list[TrainingImage]) -> bytes:
    """Weights that have seen images."""
    start = tiny_torchvision(LABELS)
    return run(tmp_path_factory.mktemp("before"), images, start=start, recipe=replace(RECIPE, epochs=3)).weights


def moved(before: bytes, after: bytes) -> set[str]:
    """Names of the tensors that differ."""
    (_, one), (_, other) = read_weights(before), read_weights(after)
    return {name for name in one if not torch.equal(one[name], other[name])}


# --- learning --------------------------------------------------------------------------------------


def test_losses_fall(tmp_path: Path) -> None:
    shown, recipe = pictures(tmp_path / "shown", 8), replace(RECIPE, epochs=8, mosaic=0.0, learning_rate=0.003)
    curves = run(tmp_path / "run", shown, start=tiny_torchvision(LABELS), recipe=recipe).curves
    first, last = (sum(value for name, value in row.items() if "train/" in name) for row in (curves[0], curves[-1]))
    assert last < 0.8 * first


@pytest.mark.parametrize("builder", ["fasterrcnn_mobilenet_v3_large_320_fpn", "fcos_resnet50_fpn"])
def test_every_family_learns(tmp_path: Path, images: list[TrainingImage], builder: str) -> None:
    """Also from an image without objects; and what is trained can be served."""
    shown = [images[0], replace(images[1], shapes=())]
    start = adopt(builder, labels=LABELS, image_size=SIZE)
    after = run(tmp_path, shown, val=shown, start=start, recipe=replace(ONCE, keep="best", batch=2))
    assert np.isfinite([*after.metrics.values()]).all() and "metrics/mAP50" in after.metrics
    assert len(moved(start, after.weights)) > 100
    assert load_detector(after.weights, threads=1).labels == LABELS


@pytest.mark.parametrize("optimizer", ["SGD", "RMSProp", "NAdam"])
def test_each_optimizer_of_the_recipe_is_there(tmp_path: Path, images: list[TrainingImage], optimizer: str) -> None:
    recipe = TrainingRecipe.from_json({**ONCE.to_json(), "optimizer": optimizer})
    start = tiny_torchvision(LABELS)
    assert moved(start, run(tmp_path, images[:4], start=start, recipe=recipe).weights)


def test_steps_warm_up_and_fall(tmp_path: Path, images: list[TrainingImage]) -> None:
    """Linearly over the epochs, to a share of the first step size; `lr` is the last of each epoch."""
    recipe = replace(RECIPE, epochs=4, warmup_epochs=1.0, final_learning_rate=0.1)
    curves = run(tmp_path, images, start=tiny_torchvision(LABELS), recipe=recipe).curves
    shares = [row["lr"] / recipe.learning_rate for row in curves]
    assert shares == pytest.approx([2 / 3, 0.775, 0.55, 0.325])


def test_without_improvement_it_ends_after_the_patience(tmp_path: Path, images: list[TrainingImage]) -> None:
    """Counted from the best epoch, by 0.1 mAP50 + 0.9 mAP50-95."""
    recipe = replace(RECIPE, epochs=30, keep="best", patience=2, learning_rate=1e-12)
    curves = run(tmp_path, images[:4], val=images[:2], start=tiny_torchvision(LABELS), recipe=recipe).curves
    fitness = [0.1 * row["metrics/mAP50"] + 0.9 * row["metrics/mAP50-95"] for row in curves]
    assert len(curves) == 1 + int(np.argmax(fitness)) + 2 < 30


def test_a_loss_that_is_not_finite_says_what_to_lower(tmp_path: Path, images: list[TrainingImage]) -> None:
    head, state = read_weights(tiny_torchvision(LABELS))
    state["head.regression_head.module_list.0.1.weight"] *= 1e38
    with pytest.raises(CycleFailed, match="diverged") as caught:
        run(tmp_path, images, start=write_weights(head, state), recipe=ONCE)
    assert "training.learning_rate" in caught.value.hint


# --- what stays --------------------------------------------------------------------------------------


def test_frozen_layers_stay_as_they_are(tmp_path: Path, images: list[TrainingImage]) -> None:
    """From the input on; more layers than the backbone has are all of it."""
    start = tiny_torchvision(LABELS)
    one = moved(start, run(tmp_path / "one", images, start=start, recipe=replace(ONCE, freeze=1)).weights)
    assert not any(name.startswith("backbone.features.0.0.") for name in one)
    assert any(name.startswith("backbone.features.0.1.") for name in one)
    all_of_it = moved(start, run(tmp_path / "all", images, start=start, recipe=replace(ONCE, freeze=99)).weights)
    assert all_of_it and not any(name.startswith("backbone.") for name in all_of_it)


def test_statistics_of_images_are_learned_once(tmp_path: Path, images: list[TrainingImage], trained: bytes) -> None:
    """As torchvision has it: those of a small batch are worse than what a trained network brings."""
    learned = {name for name in moved(tiny_torchvision(LABELS), trained) if "running_mean" in name}
    after = moved(trained, run(tmp_path, images, start=trained).weights)
    assert len(learned) > 50 and not any("running_" in name for name in after)
    assert any(name.startswith("backbone.") for name in after)


def test_a_step_of_one_image_learns_no_statistics_from_it(tmp_path: Path, images: list[TrainingImage]) -> None:
    """Memory may suffice for no more, and a last batch may be one; maps of one cell have no variance."""
    start = tiny_torchvision(LABELS)
    after = moved(start, run(tmp_path, images[:2], start=start, recipe=replace(ONCE, batch=1)).weights)
    assert after and not any("running_" in name for name in after)


def test_labels_keep_what_is_known_of_them(tmp_path: Path, images: list[TrainingImage], trained: bytes) -> None:
    """By the name that they have now; one that is new starts afresh, one that is gone is gone."""
    shown = pictures(tmp_path / "shown", 4, ("green", "blue"))
    labels = ("crimson", "blue")
    shown = [replace(one, shapes=tuple(shape for shape in one.shapes if shape.label in labels)) for one in shown]
    given: dict[str, Any] = {"start": trained, "labels": labels, "renamed": {"red": "crimson"}}
    after = run(tmp_path / "run", shown, recipe=replace(ONCE, learning_rate=1e-12), **given).weights
    (before_head, before), (head, state) = read_weights(trained), read_weights(after)
    builder = str(before_head.architecture["builder"])
    expected = networks.relabelled_torchvision(builder, before, ("crimson", "green"), labels, SIZE)
    assert head.labels == labels
    for name, tensor in expected.state_dict().items():
        assert torch.allclose(state[name].float(), tensor.float(), atol=1e-5), name


def test_a_run_that_was_cut_ends_in_the_weights_that_it_would_have_had(
    tmp_path: Path, images: list[TrainingImage]
) -> None:
    class Cut(Exception):
        pass

    def cut(share: float, figures: Mapping[str, float]) -> None:
        if figures and share >= 0.5:
            raise Cut

    recipe, start = replace(RECIPE, epochs=4, keep="best"), tiny_torchvision(LABELS)
    whole = run(tmp_path / "whole", images, val=images[:2], start=start, recipe=recipe)
    with pytest.raises(Cut):
        run(
            tmp_path / "cut", images, val=images[:2], start=start, recipe=recipe, progress=cut, checkpoint_seconds=0.0
        )  # fmt: skip
    again = run(tmp_path / "cut", images, val=images[:2], start=start, recipe=recipe, resume=True)
    assert (again.weights, again.curves) == (whole.weights, whole.curves)


# --- images that change ------------------------------------------------------------------------------


def scene(box: tuple[int, int, int, int], size: int) -> tuple[tv_tensors.Image, tv_tensors.BoundingBoxes, Tensor]:
    """A bright box on black."""
    pixels = torch.zeros(3, size, size, dtype=torch.uint8)
    pixels[:, box[1] : box[3], box[0] : box[2]] = 255
    boxes = tv_tensors.BoundingBoxes([[float(v) for v in box]], format="XYXY", canvas_size=(size, size))  # type: ignore[call-overload]
    return tv_tensors.Image(pixels), boxes, torch.tensor([1])


@given(
    seed=st.integers(0, 10**6),
    left=st.integers(0, 80),
    top=st.integers(0, 80),
    sides=st.tuples(st.integers(16, 40), st.integers(16, 40)),
    size=st.sampled_from([64, 128]),
    scale=st.floats(0.0, 0.5),
    translate=st.floats(0.0, 0.4),
)
def test_boxes_go_with_their_pixels(
    seed: int, left: int, top: int, sides: tuple[int, int], size: int, scale: float, translate: float
) -> None:
    """Zoomed, moved, mirrored, and cut from a scene as large or twice as large. size: of the square that comes out."""
    recipe = TrainingRecipe(scale=scale, translate=translate, hue=0.0, saturation=0.0, brightness=0.0)
    torch.manual_seed(seed)
    pixels, boxes, labels = Change(recipe)(scene((left, top, left + sides[0], top + sides[1]), 128), size)
    assert pixels.shape == (3, size, size) and len(boxes) == len(labels) <= 1
    bright = (pixels[0] > 200).nonzero()
    if len(boxes):
        (x1, y1, x2, y2) = boxes[0].tolist()
        assert 0 <= x1 < x2 <= size and 0 <= y1 < y2 <= size
        if len(bright):  # an edge of less than a pixel may be blurred away
            assert bright.min(dim=0).values.tolist() == pytest.approx([y1, x1], abs=2.0)
            assert (bright.max(dim=0).values + 1).tolist() == pytest.approx([y2, x2], abs=2.0)
    else:
        assert len(bright) <= 0.15 * sides[0] * sides[1] * (1 + scale) ** 2 + 4 * (sum(sides) * (1 + scale) + 4)


def test_nothing_changes_where_nothing_is_asked_to() -> None:
    none = TrainingRecipe(scale=0.0, translate=0.0, hue=0.0, saturation=0.0, brightness=0.0, flip=0.0)
    before = scene((5, 6, 30, 40), 64)
    pixels, boxes, _ = Change(none)(before, 64)
    assert torch.equal(pixels, before[0]) and torch.equal(boxes, before[1])


@pytest.mark.parametrize("corner", [(0, 0), (108, 0), (0, 108), (108, 108)])
def test_any_part_of_a_larger_scene_comes_into_the_square(corner: tuple[int, int]) -> None:
    """Of four images side by side, too, no corner is always cut away."""
    torch.manual_seed(0)
    change = Change(TrainingRecipe(scale=0.0, translate=0.0))
    x, y = corner
    seen = [len(change(scene((x, y, x + 20, y + 20), 128), 64)[1]) for _ in range(40)]
    assert 2 <= sum(seen) <= 30
