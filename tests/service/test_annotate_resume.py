"""SIGKILL in the middle of a bulk annotation: the next process goes on, and no image is done twice."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from loop.domain.items.annotation import AnnotationJob, AnnotationState
from loop.exchange.sources import FsspecSources
from loop.items.annotation import AnnotationRequests
from loop.settings import Settings, load_settings
from loop.store.database import SqlStore
from loop.wiring import models_of, open_blobs, open_store, projects_of, utc_now
from tests.api.conftest import LABELS, picture
from tests.tiny_models import tiny_weights

PROJECT = "shapes"
GOOD, KILLED_AT = 40, 9


def settings_of(folder: Path) -> tuple[Settings, dict[str, str]]:
    variables = {
        "ASKANCE_DATA_DIR": str(folder / "state"),
        "ASKANCE_POLICY__THRESHOLD": "0.0",  # every prediction is routed, so that tasks are counted too
        "ASKANCE_ANNOTATION__BATCH_SIZE": "2",
        "ASKANCE_ANNOTATION__GROUP_SIZE": "2",
    }
    return load_settings(environ=variables), variables


def made(folder: Path) -> Path:
    """40 images, one of them at two paths, and three files that are none."""
    images = folder / "images"
    for number in range(GOOD - 1):
        place = images / f"day{number % 3}"
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{number:02d}.png").write_bytes(picture(number))
    (images / "copy.png").write_bytes(picture(0))
    (images / "text.jpg").write_text("no image")
    (images / "cut.png").write_bytes(picture(1)[:200])
    (images / "empty.webp").touch()
    return images


def queued(settings: Settings, source: Path) -> tuple[SqlStore, AnnotationJob]:
    store, blobs = open_store(settings), open_blobs(settings)
    projects_of(settings, store).create(PROJECT, tuple(LABELS))
    model, _ = models_of(store, blobs).register(PROJECT, tiny_weights(), "test")
    requests = AnnotationRequests(store, FsspecSources(()), utc_now, os.urandom)
    job = requests.start(
        PROJECT, str(source), actor="test", created_by="tok_test", any_folder=True, model_id=model.id, review=True
    )
    return store, job


def begun(job: AnnotationJob, variables: dict[str, str]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.service.annotating", PROJECT, job.id]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, env={**os.environ, **variables}, **quiet)


def killed(process: subprocess.Popen[bytes]) -> None:
    """The process and all that Ray started for it."""
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    for child in family:
        try:
            child.kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()
    psutil.wait_procs(family, timeout=30)


def stored(store: SqlStore, job: AnnotationJob) -> AnnotationJob:
    with store.read() as tx:
        return tx.annotations.get(PROJECT, job.id)


def until(store: SqlStore, job: AnnotationJob, process: subprocess.Popen[bytes], done: int) -> None:
    """Returns once so many images are answered."""
    deadline = time.monotonic() + 120
    while (now := stored(store, job)).done + now.bad < done:
        assert process.poll() is None, "the process ended by itself"
        assert time.monotonic() < deadline, "the annotation stands still"
        time.sleep(0.01)


@pytest.mark.service
@pytest.mark.timeout(400)
def test_a_killed_annotation_goes_on_and_does_no_image_twice(tmp_path):
    """Killed in the middle, then run to its end: every path has one answer, every good one a prediction and a task of
    its own, the counts are right, and answers from before the kill are the same as after."""
    settings, variables = settings_of(tmp_path)
    store, job = queued(settings, made(tmp_path))
    process = begun(job, variables)
    until(store, job, process, KILLED_AT)
    time.sleep(random.Random(3).uniform(0.0, 0.02))
    killed(process)
    with store.read() as tx:
        results = tx.annotations.results(job.id, after=-1, limit=1000)
    assert stored(store, job).done == sum(one.prediction_id is not None for one in results)
    kept = {one.position: one.prediction_id for one in results}
    assert KILLED_AT <= len(kept) < GOOD
    assert begun(job, variables).wait(timeout=240) == 0

    ended = stored(store, job)
    assert (ended.state, ended.error) == (AnnotationState.DONE, "")
    assert (ended.found, ended.done, ended.bad) == (GOOD + 3, GOOD, 3)
    with store.read() as tx:
        results = tx.annotations.results(job.id, after=-1, limit=1000)
        bad = {Path(one.url).name for one in tx.annotations.bad(job.id, limit=10)}
        counts = tx.predictions.counts(PROJECT)
    assert [one.position for one in results] == list(range(GOOD + 3))
    assert kept.items() <= {one.position: one.prediction_id for one in results}.items()
    assert bad == {"text.jpg", "cut.png", "empty.webp"}
    assert counts["predictions"] == counts["routed"] == GOOD
    store.close()
    _each_once(settings)


def _each_once(settings: Settings) -> None:
    """As the tables say it: predictions, tasks and results fit one to one, and the file is sound."""
    database = sqlite3.connect(settings.data_dir / "askance.db")
    ask = "SELECT count(*), count(DISTINCT prediction_id) FROM"
    assert database.execute(f"{ask} annotation_results WHERE prediction_id IS NOT NULL").fetchone() == (GOOD, GOOD)
    assert database.execute(f"{ask} tasks").fetchone() == (GOOD, GOOD)
    assert database.execute("SELECT count(*) FROM items").fetchone() == (GOOD - 1,)  # one content at two paths
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    database.close()
