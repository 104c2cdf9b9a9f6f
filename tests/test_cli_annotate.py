"""`askance annotate`: what it asks the service for, what it shows, and how it is left."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from loop.cli import app
from loop.domain.items.annotation import AnnotationState
from serving.api.schemas.annotations import AnnotationOut, BadImageOut, BadImagesOut
from tests.test_cli import askance, refused

START = AnnotationOut.model_validate(
    {
        "id": "ann_1", "project_id": "p", "model_id": "m", "source": "/x", "review": True, "state": "queued",
        "found": 0, "done": 0, "bad": 0, "error": "", "actor": "Ada", "created_at": "2026-05-01T00:00:00Z",
        "started_at": None, "updated_at": "2026-05-01T00:00:00Z", "finished_at": None,
    }
)  # fmt: skip


class Service:
    """Stands in for the client: notes what it is asked, and tells a job's story."""

    def __init__(self, *story: dict[str, object]) -> None:
        self.asked: list[tuple[object, ...]] = []
        self.story = [START.model_copy(update=step) for step in story]
        self.interrupted = False

    def __enter__(self) -> "Service":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def start_annotation(self, project: str, source: str, *, model_id: str | None, review: bool) -> AnnotationOut:
        self.asked.append((project, source, model_id, review))
        return START

    def follow_annotation(self, _project: str, _annotation: str) -> Iterator[AnnotationOut]:
        yield from self.story
        if self.interrupted:
            raise KeyboardInterrupt

    def annotation(self, _project: str, _annotation: str) -> AnnotationOut:
        return self.story[-1]

    def bad_images(self, _project: str, _annotation: str) -> BadImagesOut:
        return BadImagesOut(bad=1, images=[BadImageOut(url="/x/[red].jpg", reason="no image")])

    def cancel_annotation(self, _project: str, annotation: str) -> AnnotationOut:
        self.asked.append((annotation,))
        return START.model_copy(update={"state": AnnotationState.CANCELLED, "done": 3, "found": 9})


RUNNING = {"state": AnnotationState.RUNNING, "found": 10, "done": 4, "bad": 1}
DONE = {"state": AnnotationState.DONE, "found": 10, "done": 9, "bad": 1}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch):
    def call(service: Service, *arguments: str):
        monkeypatch.setenv("ASKANCE_TOKEN", "secret")
        monkeypatch.setattr("serving.client.Client", lambda _url, _token: service)
        return CliRunner().invoke(app, ["annotate", *arguments])

    return call


def test_a_source_is_all_it_needs(run, tmp_path, monkeypatch):
    """`askance annotate SRC -p P` waits until the end and says what came of it; a path is made absolute."""
    monkeypatch.chdir(tmp_path)
    service = Service(RUNNING, DONE)
    said = run(service, "pictures/../in", "-p", "p")
    assert said.exit_code == 0, said.output
    assert service.asked == [("p", str(Path.cwd() / "in"), None, True)]
    assert "9 of 10 images predicted, 1 bad" in said.output
    assert "askance annotate status ann_1" in said.output


def test_options_reach_the_service(run):
    """A URL stays as it is; --no-review and --model are passed on; options may stand first."""
    service = Service(DONE)
    said = run(service, "--no-review", "--model", "m2", "-p", "p", "s3://bucket/in")
    assert said.exit_code == 0, said.output
    assert service.asked == [("p", "s3://bucket/in", "m2", False)]


def test_detached_prints_the_id_and_leaves(run):
    """Nothing else, so that a script can take it."""
    assert run(Service(), "/in", "-p", "p", "--detach").output.strip() == "ann_1"
    said = run(Service(), "/in", "-p", "p", "--detach", "--out", "out")
    assert said.exit_code == 2
    assert "--detach" in said.output


def test_ctrl_c_leaves_the_job_running_and_says_how_to_come_back(run):
    """The status of a command that Ctrl-C ended, no traceback, and no cancel."""
    service = Service(RUNNING)
    service.interrupted = True
    said = run(service, "/in", "-p", "p")
    assert said.exit_code == 130
    assert "askance annotate status ann_1 --project p --wait" in said.output
    assert "askance annotate cancel ann_1 --project p" in said.output
    assert len(service.asked) == 1


def test_status_names_the_bad_images(run):
    """Each with its reason, whatever its name looks like; --wait follows to the end."""
    said = run(Service(RUNNING), "status", "ann_1", "-p", "p")
    assert "/x/[red].jpg: no image" in said.output
    assert "running: 4 of 10" in said.output
    waited = Service(RUNNING, DONE)
    waited.annotation = lambda _project, _annotation: waited.story[0]  # type: ignore[method-assign]
    assert "done: 9 of 10" in run(waited, "status", "ann_1", "-p", "p", "--wait").output


def test_cancel_says_what_stays(run):
    """How many were predicted before."""
    service = Service()
    assert "cancelled: 3 of 9" in run(service, "cancel", "ann_1", "-p", "p").output
    assert service.asked == [("ann_1",)]


def test_a_failed_job_is_an_error(tmp_path, run):
    """With its reason."""
    said = run(Service({"state": AnnotationState.FAILED, "error": "line 3 of a.csv has no url."}), "/in", "-p", "p")
    assert "line 3 of a.csv" in str(said.exception)


def test_mistakes_are_one_line(tmp_path: Path):
    """No service, and a target folder that holds something already, before anything is started."""
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    refused(askance(tmp_path, "annotate", "in", "-p", "p"), "askance up")
    refused(askance(tmp_path, "annotate", "in", "-p", "p", "--out", "full"), "full")
    refused(askance(tmp_path, "annotate", "export", "ann_1", "out", "-p", "nope"), "nope")
