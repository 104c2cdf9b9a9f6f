"""Training where memory is short. Ray's part is a function here: what it reports is what Ray reports."""

import logging
from pathlib import Path
from typing import Any

import pytest

from loop.cycle.work import TrainedWeights, TrainingJob
from loop.domain.errors import OutOfMemory
from loop.launching import workshop
from loop.launching.workshop import RayWorkshop
from loop.settings import load_settings
from loop.store.blobs import FsspecBlobs
from tests.tiny_models import tiny_weights
from training.head import read_sound_head


class Machine:
    """Memory suffices for `room` images a step."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.tried: list[int] = []

    def run(self, function: Any, *, recipe: Any, **given: Any) -> TrainedWeights:
        self.tried.append(recipe.batch)
        if recipe.batch > self.room:
            raise OutOfMemory(f"out of memory at {recipe.batch} images.", hint="Lower training.batch.")
        content = tiny_weights()
        return TrainedWeights(content, read_sound_head(content), {})


def trained(tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch) -> TrainedWeights:
    monkeypatch.setattr(workshop, "run_in_ray", machine.run)
    settings = load_settings(environ={"ASKANCE_DATA_DIR": str(tmp_path)})
    made = RayWorkshop(settings, FsspecBlobs.open(settings.blobs_url))
    recipe = settings.training.model_dump(include={"epochs", "batch", "image_size", "seed", "optimizer"})
    job = TrainingJob(cycle_id="cycle_1", start_key=None, labels=("a",), recipe=recipe | {"mode": "superior"}, train=())
    return made.train(job, lambda share, figures: None)


def test_without_memory_it_is_tried_with_half_the_images(tmp_path, monkeypatch, caplog):
    """Until it suffices; the log says so, and the model remembers with how many it was."""
    machine = Machine(room=5)
    with caplog.at_level(logging.WARNING, logger="askance.cycle"):
        assert trained(tmp_path, machine, monkeypatch).batch == 4
    assert machine.tried == [16, 8, 4]
    assert "8 images a step" in caplog.text and "4 images a step" in caplog.text


def test_one_image_that_does_not_fit_is_the_end(tmp_path, monkeypatch):
    machine = Machine(room=0)
    with pytest.raises(OutOfMemory, match="1 images"):
        trained(tmp_path, machine, monkeypatch)
    assert machine.tried == [16, 8, 4, 2, 1]
