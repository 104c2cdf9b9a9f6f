"""`askance clips`: importing on the machine of the service, also after a SIGKILL, and what it asks the service for."""

import os
import signal
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from loop.cli import app
from loop.domain.items.annotation import AnnotationState
from loop.domain.ports import Store
from loop.settings import Settings, load_settings
from loop.wiring import open_blobs, open_store, projects_of
from serving.api.schemas.groups import GroupDetailOut, TasksOut
from tests.clips import pictures, video
from tests.service.running import ASKANCE
from tests.test_cli import askance, refused
from tests.test_cli_annotate import START

FRAMES = 400


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("ASKANCE_DATA_DIR", str(tmp_path / "state"))
    loaded = load_settings(environ={"ASKANCE_DATA_DIR": str(tmp_path / "state")})
    store = open_store(loaded)
    projects_of(loaded, store).create("street", ("car",))
    store.close()
    return loaded


def present(settings: Settings) -> list[tuple[int, int | None, str]]:
    """Index, number and item of each frame of the project's only clip."""
    store: Store = open_store(settings)
    with store.read() as tx:
        return [(one.index, one.number, one.item_digest) for one in tx.groups.places("street")]


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments))


def test_sigkill_in_the_middle_of_an_import_loses_and_doubles_nothing(tmp_path, settings):
    """Killed after the first frames are there, the next run adds the rest: all frames, each once, and their images."""
    path = tmp_path / "drive.mp4"
    path.write_bytes(video(pictures(FRAMES)))
    command = [*ASKANCE, "clips", "import", str(path), "--project", "street"]
    running = subprocess.Popen(command, cwd=tmp_path, env={**os.environ}, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (before := present(settings)):
        assert running.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    before = present(settings)
    assert 0 < len(before) < FRAMES
    done = askance(tmp_path, "clips", "import", str(path), "-p", "street", ASKANCE_DATA_DIR=str(settings.data_dir))
    assert done.returncode == 0, done.stderr
    assert f"{FRAMES - len(before)} frames added, {FRAMES} in all" in done.stdout
    after = present(settings)
    assert after[: len(before)] == before
    assert [(index, number) for index, number, _ in after] == [(number, number) for number in range(FRAMES)]
    blobs = open_blobs(settings)
    assert all(blobs.get(digest) for _, _, digest in after)
    assert f"0 frames added, {FRAMES} in all" in run("clips", "import", str(path), "-p", "street").stdout


def test_what_is_no_video_is_told_in_a_line(tmp_path, settings):
    """With what to do; a file that is not there too."""
    (tmp_path / "text.mp4").write_text("no video")
    where = {"ASKANCE_DATA_DIR": str(settings.data_dir)}
    refused(askance(tmp_path, "clips", "import", "text.mp4", "-p", "street", **where), "cannot be opened", "MP4")
    refused(askance(tmp_path, "clips", "import", "gone.mp4", "-p", "street", **where), "gone.mp4")
    (tmp_path / "good.mp4").write_bytes(video(pictures(2)))
    refused(askance(tmp_path, "clips", "import", "good.mp4", "-p", "nowhere", **where), "nowhere")


class Service:
    """Stands in for the client: notes what it is asked, and what lies in the folder that is to be annotated."""

    def __init__(self) -> None:
        self.asked: list[object] = []
        self.group_out = GroupDetailOut.model_validate(
            {
                "id": "clip_1", "kind": "clip", "name": "drive.mp4", "frames": 2, "complete": True, "repeats": 0,
                "notes": ["The frame rate varies."], "meta": {"codec": "h264"}, "created_at": datetime.now(UTC),
                "next": None,
                "page": [
                    {
                        "index": n, "item_digest": f"{n}" * 64, "time": n / 4, "number": n, "width": 4, "height": 3,
                        "image_url": "/",
                    }
                    for n in range(2)
                ],
            }
        )  # fmt: skip

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def groups(self, project: str):
        self.asked.append(project)
        return iter([self.group_out])

    def group(self, project: str, group_id: str, *, limit: int):
        self.asked.append((project, group_id, limit))
        return self.group_out

    def make_clip_tasks(self, project: str, group_id: str, window: int | None) -> TasksOut:
        self.asked.append((project, group_id, window))
        return TasksOut(task_ids=["task_1", "task_2"], made=True)

    def start_annotation(self, project: str, source: str, *, model_id: str | None, review: bool):
        self.asked.append((project, [path.suffix for path in sorted(Path(source).iterdir())], model_id, review))
        return START

    def follow_annotation(self, *_: str):
        yield START.model_copy(update={"state": AnnotationState.DONE, "found": 3, "done": 3})


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    stand_in = Service()
    monkeypatch.setattr("loop.cli.clips.client_of", lambda *_: stand_in)
    return stand_in


def test_predict_asks_for_the_frames_without_tasks(tmp_path, settings, service):
    """As a bulk annotation that sends nothing to people by itself; the sampling is what was asked for."""
    path = tmp_path / "drive.mp4"
    path.write_bytes(video(pictures(5)))
    done = run("clips", "import", str(path), "-p", "street", "--every", "2", "--predict")
    assert done.exit_code == 0, done.output
    assert service.asked == [("street", [".jpg"] * 3, None, False)]
    assert "3 of 3 images predicted" in done.output


def test_clips_are_listed_and_shown(service):
    """With what was found amiss, and their frames."""
    assert "drive.mp4" in run("clips", "list", "-p", "street").output
    shown = run("clips", "show", "clip_1", "-p", "street").output
    assert "The frame rate varies." in shown
    assert "codec: h264" in shown
    assert "0.25" in shown


def test_tasks_are_asked_for(service):
    """Over all frames, or in windows."""
    assert "task_1, task_2" in run("clips", "tasks", "clip_1", "-p", "street", "--window", "50").output
    run("clips", "tasks", "clip_1", "-p", "street")
    assert service.asked == [("street", "clip_1", 50), ("street", "clip_1", None)]
