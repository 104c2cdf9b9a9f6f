"""SIGKILL while a detector of torchvision is trained: the service goes on where the training was."""

import json
import sqlite3
import time

import pytest

from askance.client import Client
from loop.domain.item import Split
from loop.settings import load_settings
from loop.store.database import SqlStore
from loop.wiring import open_blobs, projects_of
from serving.api.schemas.models import CycleIn
from tests.pictures import LABELS, SIZE, keep_picture
from tests.service.running import ServiceProcess
from tests.tiny_models import tiny_torchvision
from training.fine_tuning import LAST

PROJECT = "colours"
EPOCHS = 12


@pytest.mark.service
@pytest.mark.timeout(600)
def test_a_torchvision_training_goes_on_at_its_checkpoint_after_a_kill(tmp_path):
    """The whole process tree is killed while a detector of torchvision is trained. The next start goes on where the
    checkpoint is, not from the beginning, and the cycle comes to its end with one candidate that has learned in every
    epoch."""
    service = ServiceProcess(tmp_path / "state")
    _furnish(service)
    service.start()
    try:
        with service.operator() as operator:
            operator.add_model(PROJECT, tiny_torchvision(LABELS))
            operator.await_champion(PROJECT)
            asked = CycleIn(epochs=EPOCHS, image_size=SIZE, mode="non_inferior", reason="to be cut")
            cycle = operator.start_cycle(PROJECT, asked)
            _await_progress(service, operator, cycle.id)
        service.kill_tree()
        service.start()
        with service.operator() as operator:
            cut = operator.cycle(PROJECT, cycle.id).progress
            told = [state.progress for state in operator.follow_cycle(PROJECT, cycle.id, every_s=0.05)
                    if state.step == "train" and state.progress != cut]  # fmt: skip
        # One that began anew would tell of its first epoch.
        assert not told or min(told) > 1 / EPOCHS
        with service.operator() as operator:
            end = operator.cycle(PROJECT, cycle.id)
            assert end.state in ("promoted", "refused"), end.error
            (candidate,) = [one for one in operator.models(PROJECT).models if one.cycle_id == cycle.id]
        curves = _curves(service, candidate.id)
        assert [row["epoch"] for row in curves] == [float(epoch + 1) for epoch in range(EPOCHS)]
    finally:
        service.stop()


def _furnish(service: ServiceProcess) -> None:
    """Pictures with ground truth, to train on and to judge by."""
    service.data_dir.mkdir()
    settings = load_settings(environ=service.environment)
    store, blobs = SqlStore.open(settings.database_url), open_blobs(settings)
    store.migrate()
    projects_of(settings, store).create(PROJECT, LABELS)
    for number in range(44):
        keep_picture(store, blobs, PROJECT, number, Split.GOLDEN if number < 20 else Split.TRAIN)
    store.close()


def _await_progress(service: ServiceProcess, operator: Client, cycle_id: str) -> None:
    """Until some of the training is done, and there is a checkpoint of it."""
    checkpoint = service.data_dir / "cycles" / cycle_id / "run" / "run" / LAST
    deadline = time.monotonic() + 240
    while not (checkpoint.is_file() and (cycle := operator.cycle(PROJECT, cycle_id)).progress > 2 / EPOCHS):
        assert time.monotonic() < deadline, "it does not train"
        time.sleep(0.02)
    assert cycle.step == "train" and cycle.progress < 1.0, f"it was too quick to be cut: {cycle.step}"


def _curves(service: ServiceProcess, model_id: str) -> list[dict[str, float]]:
    database = sqlite3.connect(f"file:{service.data_dir / 'askance.db'}?mode=ro", uri=True)
    ((notes,),) = database.execute("SELECT notes FROM models WHERE id = ?", (model_id,)).fetchall()
    database.close()
    curves: list[dict[str, float]] = json.loads(notes)["curves"]
    return curves
