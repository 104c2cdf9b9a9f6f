"""Fine-tuning: what it learns, what it carries over, what it survives, and what it leaves alone."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from loop.domain.errors import BadDataset, CycleFailed, Invalid, UnknownLabel
from loop.domain.truth import Shape
from serving.backends.load import load_detector
from tests.pictures import LABELS, SIZE, picture, pictures
from tests.tiny_models import tiny_torchvision, tiny_weights
from training.head import read_head
from training.recipe import TrainingRecipe
from training.train import TrainedModel, train
from training.training_image import TrainingImage
from training.weights import read_weights

# One thread: the fastest for networks this small, and the same sums on every machine.
RECIPE = TrainingRecipe(epochs=2, batch=4, flip=0.0, threads=1)


def silent(share: float, figures: Mapping[str, float]) -> None:
    """Progress that nobody looks at."""


def run(workdir: Path, images: list[TrainingImage], **changes: Any) -> TrainedModel:
    arguments: dict[str, Any] = {
        "start": tiny_weights(LABELS),
        "images": images,
        "val": [],
        "labels": LABELS,
        "recipe": RECIPE,
        "workdir": workdir,
        "progress": silent,
    }
    return train(**{**arguments, **changes})


@pytest.fixture(params=[tiny_weights, tiny_torchvision], ids=["ultralytics", "torchvision"])
def start(request: pytest.FixtureRequest) -> bytes:
    """The rules hold for the networks of both libraries."""
    content: bytes = request.param(LABELS)
    return content


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[TrainingImage]:
    return pictures(tmp_path_factory.mktemp("pictures"), 8)


# --- learning ------------------------------------------------------------------------------------


def test_a_model_learns_to_find_what_it_is_shown(tmp_path: Path) -> None:
    shown = pictures(tmp_path / "shown", 24)
    recipe = replace(RECIPE, epochs=14, learning_rate=0.01, mosaic=0.0, scale=0.2, warmup_epochs=0.5)
    trained = run(tmp_path / "run", shown, recipe=recipe)
    assert trained.curves[-1]["train/box_loss"] < 0.6 * trained.curves[0]["train/box_loss"]
    before, after = (_share_found(content) for content in (tiny_weights(LABELS), trained.weights))
    assert before == 0.0
    assert after >= 0.75


def _share_found(content: bytes) -> float:
    """Share of the squares of new pictures that are found with the right label."""
    from loop.domain.geometry import iou_matrix

    detector, found, total = load_detector(content, threads=1), 0, 0
    for seed in range(100, 110):
        pixels, shapes = picture(seed)
        (answer,) = detector.predict([pixels], score_floor=0.2)
        for shape in shapes:
            same = answer.boxes[answer.classes == LABELS.index(shape.label)]
            found += bool((iou_matrix(same, np.array([shape.box])) >= 0.5).any())
            total += 1
    return found / total


def test_equal_inputs_give_equal_weights(tmp_path: Path, start: bytes, images: list[TrainingImage]) -> None:
    one = run(tmp_path / "one", images, start=start)
    other = run(tmp_path / "other", images, start=start)
    assert one.weights == other.weights
    assert one.curves == other.curves


def test_another_seed_gives_other_weights(tmp_path: Path, images: list[TrainingImage]) -> None:
    short = replace(RECIPE, epochs=1)
    one = run(tmp_path / "one", images, recipe=short)
    other = run(tmp_path / "other", images, recipe=replace(short, seed=1))
    assert one.weights != other.weights


def test_a_trained_model_describes_itself(tmp_path: Path, start: bytes, images: list[TrainingImage]) -> None:
    trained = run(tmp_path, images, start=start)
    assert trained.head == read_head(trained.weights)
    assert (trained.head.labels, trained.head.image_size) == (LABELS, SIZE)
    assert [row["epoch"] for row in trained.curves] == [1.0, 2.0]
    assert trained.metrics == trained.curves[-1]
    losses = [name for name in trained.metrics if name.startswith("train/")]
    assert len(losses) >= 2 and 0 < trained.metrics["lr"] <= RECIPE.learning_rate


# --- labels --------------------------------------------------------------------------------------


def test_a_label_can_be_added_and_keeps_the_others_in_place(tmp_path: Path) -> None:
    labels = ("blue", *LABELS)
    shown = pictures(tmp_path / "shown", 8, labels)
    trained = run(tmp_path / "run", shown, labels=labels, recipe=replace(RECIPE, epochs=1, learning_rate=1e-9))
    head, state = read_weights(trained.weights)
    _, before = read_weights(tiny_weights(LABELS))
    last = next(name for name in state if ".cv3." in name and state[name].ndim == 4 and state[name].shape[0] == 3)
    assert head.labels == labels and head.architecture["nc"] == 3
    assert torch.allclose(state[last][1:], before[last], atol=1e-5)
    assert load_detector(trained.weights).labels == labels


def test_a_label_that_was_renamed_keeps_what_is_known_of_it(tmp_path: Path) -> None:
    """Under its new name it starts from the rows of the old one; a name that is only new starts afresh."""
    short = replace(RECIPE, epochs=1, learning_rate=1e-9)
    labels = ("blue", *LABELS[1:])
    shown = pictures(tmp_path / "shown", 8, labels)
    start = tiny_weights(LABELS, seed=5)  # fresh rows are drawn from another seed
    renamed = run(tmp_path / "one", shown, start=start, labels=labels, recipe=short, renamed={LABELS[0]: "blue"})
    afresh = run(tmp_path / "other", shown, start=start, labels=labels, recipe=short)
    _, before = read_weights(start)
    last = next(name for name in before if ".cv3." in name and before[name].ndim == 4 and len(before[name]) == 2)
    assert torch.allclose(read_weights(renamed.weights)[1][last], before[last], atol=1e-5)
    assert not torch.allclose(read_weights(afresh.weights)[1][last][0], before[last][0], atol=1e-3)


def test_shapes_with_a_label_that_the_model_shall_not_know_are_refused(tmp_path: Path) -> None:
    shown = pictures(tmp_path / "shown", 2, ("red", "blue"))
    with pytest.raises(UnknownLabel, match="blue"):
        run(tmp_path / "run", shown)


# --- images --------------------------------------------------------------------------------------


def test_images_without_shapes_are_background(tmp_path: Path, start: bytes, images: list[TrainingImage]) -> None:
    trained = run(tmp_path, [*images[:3], replace(images[3], shapes=())], recipe=replace(RECIPE, epochs=1), start=start)
    assert trained.curves


def test_images_of_other_sizes_and_formats_are_taken(tmp_path: Path, start: bytes) -> None:
    shown = []
    for index, (width, height, kind) in enumerate([(30, 90, "JPEG"), (200, 50, "WEBP"), (64, 64, "PNG")]):
        path = tmp_path / str(index)
        Image.new("L", (width, height), 90).save(path, format=kind)
        shown.append(TrainingImage(path, (Shape("red", (2.0, 2.0, 20.0, 20.0)),), width, height))
    assert run(tmp_path / "run", shown, recipe=replace(RECIPE, epochs=1), start=start).curves


def test_an_image_counts_as_upright_where_its_boxes_do(tmp_path: Path) -> None:
    """A camera's JPEG turned by its EXIF orientation: both readings of its size can be meant."""
    path = tmp_path / "turned"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (80, 40)).save(path, format="JPEG", exif=exif)
    for width, height in ((80, 40), (40, 80)):
        shown = [TrainingImage(path, (Shape("red", (1.0, 1.0, 30.0, 30.0)),), width, height)] * 2
        assert run(tmp_path / f"run{width}", shown, recipe=replace(RECIPE, epochs=1)).curves


def test_images_are_decoded_by_the_given_function(tmp_path: Path, images: list[TrainingImage]) -> None:
    read: list[bytes] = []

    def decode(content: bytes) -> Any:
        read.append(content)
        return np.zeros((SIZE, SIZE, 3), dtype=np.uint8)

    run(tmp_path, images[:2], recipe=replace(RECIPE, epochs=1), decode=decode)
    assert {image.path.read_bytes() for image in images[:2]} <= set(read)


@pytest.mark.parametrize("content", [b"", b"not an image"])
def test_an_unreadable_image_is_named(tmp_path: Path, images: list[TrainingImage], content: bytes) -> None:
    (tmp_path / "broken").write_bytes(content)
    with pytest.raises(BadDataset, match="broken is not an image"):
        run(tmp_path / "run", [*images, TrainingImage(tmp_path / "broken", (), SIZE, SIZE)])


def test_an_image_of_another_size_than_its_boxes_is_refused(
    tmp_path: Path, start: bytes, images: list[TrainingImage]
) -> None:
    with pytest.raises(BadDataset, match=r"64 x 64 pixels, but 65 x 64"):
        run(tmp_path, [replace(images[0], width=65)], start=start)


def test_a_missing_image_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadDataset, match="gone cannot be read"):
        run(tmp_path / "run", [TrainingImage(tmp_path / "gone", (), SIZE, SIZE)])


def test_no_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadDataset, match="no images"):
        run(tmp_path, [])


def test_images_are_left_as_they_are_and_nothing_is_written_beside_them(tmp_path: Path) -> None:
    """ultralytics by itself repairs JPEG files in place and leaves label caches."""
    folder = tmp_path / "pictures"
    shown = pictures(folder, 4)
    Image.new("RGB", (SIZE, SIZE)).save(folder / "odd", format="JPEG")
    (folder / "odd").write_bytes((folder / "odd").read_bytes() + b"tail")  # after its end marker
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    run(tmp_path / "run", [*shown, TrainingImage(folder / "odd", (), SIZE, SIZE)], recipe=replace(RECIPE, epochs=1))
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


# --- validation ----------------------------------------------------------------------------------


def test_validation_images_give_metrics_and_the_best_epoch(
    tmp_path: Path, start: bytes, images: list[TrainingImage]
) -> None:
    trained = run(tmp_path, images, val=images[:2], recipe=replace(RECIPE, keep="best"), start=start)
    assert all("metrics/mAP50" in row for row in trained.curves)
    assert load_detector(trained.weights).labels == LABELS


# --- progress and interruption --------------------------------------------------------------------


def test_progress_rises_to_one_with_the_figures_of_each_epoch(
    tmp_path: Path, start: bytes, images: list[TrainingImage]
) -> None:
    heard: list[tuple[float, dict[str, float]]] = []
    trained = run(tmp_path, images, progress=lambda share, figures: heard.append((share, dict(figures))), start=start)
    shares = [share for share, _ in heard]
    assert shares == sorted(shares) and shares[-1] == 1.0 and 0 < shares[0] <= 0.5
    assert [figures for _, figures in heard if figures] == trained.curves


def test_what_progress_raises_ends_the_run(tmp_path: Path, start: bytes, images: list[TrainingImage]) -> None:
    class Cancelled(Exception):
        pass

    def cancel(share: float, figures: Mapping[str, float]) -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        run(tmp_path, images, progress=cancel, start=start)


KILLED = """
import os, signal, sys
from pathlib import Path
from dataclasses import replace
from tests.test_train import RECIPE, run
from tests.pictures import pictures

folder, start = Path(sys.argv[1]), Path(sys.argv[2]).read_bytes()

def die(share, figures):
    if share >= 0.5 and figures:
        os.kill(os.getpid(), signal.SIGKILL)

recipe = replace(RECIPE, epochs=4)
shown = pictures(folder / "pictures", 8)
run(folder / "run", shown, start=start, recipe=recipe, progress=die, checkpoint_seconds=0.0)
"""


def test_a_killed_run_goes_on_at_its_last_checkpoint(tmp_path: Path, start: bytes) -> None:
    weights = tmp_path / "start"
    weights.write_bytes(start)
    command = [sys.executable, "-c", KILLED, str(tmp_path), str(weights)]
    killed = subprocess.run(command, check=False, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert (killed.stdout, killed.stderr) == ("", "")
    shown, recipe, heard = pictures(tmp_path / "pictures", 8), replace(RECIPE, epochs=4), list[float]()

    def hear(share: float, figures: Mapping[str, float]) -> None:
        heard.append(share)

    trained = run(tmp_path / "run", shown, start=start, recipe=recipe, resume=True, progress=hear)
    assert min(heard) > 0.5
    assert [row["epoch"] for row in trained.curves] == [1.0, 2.0, 3.0, 4.0]


def test_a_finished_run_is_answered_from_its_folder(tmp_path: Path, start: bytes, images: list[TrainingImage]) -> None:
    first, heard = run(tmp_path, images, start=start), list[float]()
    again = run(tmp_path, images, resume=True, progress=lambda share, figures: heard.append(share), start=start)
    assert (again.weights, again.curves, again.head) == (first.weights, first.curves, first.head)
    assert heard == [1.0]


def test_a_run_of_other_inputs_does_not_go_on_as_this_one(tmp_path: Path, images: list[TrainingImage]) -> None:
    first = run(tmp_path, images, recipe=replace(RECIPE, epochs=1))
    other = run(tmp_path, images[:4], recipe=replace(RECIPE, epochs=1), resume=True)
    assert other.weights != first.weights


# --- what goes wrong -------------------------------------------------------------------------------


def test_too_little_memory_says_what_to_lower(tmp_path: Path, start: bytes, images: list[TrainingImage]) -> None:
    def decode(content: bytes) -> Any:
        raise MemoryError

    with pytest.raises(CycleFailed, match="out of memory") as caught:
        run(tmp_path, images, decode=decode, start=start)
    assert "training.batch" in caught.value.hint


def test_a_device_that_is_not_there_fails_in_one_line(
    tmp_path: Path, start: bytes, images: list[TrainingImage]
) -> None:
    with pytest.raises(CycleFailed, match=r"(?i)cuda"):
        run(tmp_path, images, recipe=replace(RECIPE, device="cuda:7"), start=start)


QUIET = """
import sys
from pathlib import Path
from tests.test_train import run
from tests.pictures import pictures
import socket

def refuse(*args, **kwargs):
    raise AssertionError("looked for the network")

socket.getaddrinfo = socket.create_connection = refuse
run(Path(sys.argv[1]) / "run", pictures(Path(sys.argv[1]) / "pictures", 4))
"""


def test_training_prints_nothing_writes_nothing_elsewhere_and_needs_no_network(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("YOLO_", "XDG_", "PYTEST_"))
    }
    done = subprocess.run(
        [sys.executable, "-c", QUIET, str(tmp_path)],
        check=False,
        capture_output=True,
        text=True,
        env={**environment, "HOME": str(home)},
    )
    assert done.returncode == 0, done.stderr
    assert (done.stdout, done.stderr) == ("", "")
    assert [path for path in home.rglob("*") if path.is_file() and "matplotlib" not in path.parts] == []


# --- the recipe ------------------------------------------------------------------------------------


def test_a_recipe_survives_json() -> None:
    recipe = TrainingRecipe(epochs=3, image_size=96, optimizer="SGD", keep="best", learning_rate=0.02)
    assert TrainingRecipe.from_json(json.loads(json.dumps(recipe.to_json()))) == recipe


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"epochs": 0}, "epochs"),
        ({"epochs": 2.5}, "epochs"),
        ({"epochs": True}, "epochs"),
        ({"learning_rate": float("nan")}, "learning_rate"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"image_size": 100}, "image_size"),
        ({"image_size": 32}, "image_size"),
        ({"optimizer": "Adagrad"}, "optimizer"),
        ({"keep": "first"}, "keep"),
        ({"mosaic": 1.5}, "mosaic"),
        ({"device": ""}, "device"),
    ],
)
def test_a_recipe_refuses_values_that_cannot_be_meant(change: dict[str, object], named: str) -> None:
    with pytest.raises(Invalid, match=named):
        TrainingRecipe.from_json(change)


def test_an_unknown_setting_is_named_with_the_nearest_that_exists() -> None:
    with pytest.raises(Invalid, match="epoch'") as caught:
        TrainingRecipe.from_json({"epoch": 3})
    assert "'epochs'" in caught.value.hint
