"""What a bulk annotation found, as a ZIP over HTTP."""

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from loop.domain.items.annotation import AnnotationResult, AnnotationState
from tests.api.conftest import client_within, files_of_images, picture
from tests.api.test_annotations import JOBS, start
from tests.api.test_predictions import problem

LAYOUTS = {
    "coco": ("images", {"annotations/predictions.json"}),
    "yolo": ("images/train", {"data.yaml"}),
    "label-studio": ("images", {"label_config.xml", "tasks.json"}),
}


@pytest.fixture
def job(service, tmp_path: Path) -> str:
    """One that has ended: two images, the first of them at two paths."""
    job_id = start(service, str(tmp_path.resolve())).json()["id"]
    answers = [service.predict(picture(seed)).json() for seed in (0, 1, 0)]
    with service.services.store.begin() as tx:
        running = tx.annotations.get("shapes", job_id).started("k", 3, service.services.clock())
        counted = running.counted(3, 0, service.services.clock())
        tx.annotations.save(replace(counted, state=AnnotationState.DONE))
        tx.annotations.record([
            AnnotationResult(
                job_id=job_id, position=number, url=f"/in/{number}.png", item_digest=answer["item_digest"],
                prediction_id=answer["id"],
            )
            for number, answer in enumerate(answers)
        ])  # fmt: skip
    return job_id


def archive_of(answer) -> zipfile.ZipFile:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    return zipfile.ZipFile(io.BytesIO(answer.content))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_image_is_in_it_once_with_what_was_found(service, job, layout):
    """In the same files as `askance annotate export` writes, byte for byte as they were sent."""
    archive = archive_of(service.call("GET", f"{JOBS}/{job}/export?format={layout}"))
    folder, described = LAYOUTS[layout]
    images = {name for name in archive.namelist() if name.endswith(".png")}
    assert {Path(name).parent.as_posix() for name in images} == {folder}
    assert {archive.read(name) for name in images} == {picture(0), picture(1)} and len(images) == 2
    labels = (
        {name.replace("images", "labels").replace(".png", ".txt") for name in images} if layout == "yolo" else set()
    )
    assert set(archive.namelist()) == images | described | labels | {"askance-export.txt"}
    counts = json.loads(archive.read("askance-export.txt"))
    assert (counts["annotation"], counts["format"], counts["images"], counts["missing"]) == (job, layout, 2, 0)


def test_annotations_may_come_without_images(service, job):
    """None is missing then: none was asked for."""
    archive = archive_of(service.call("GET", f"{JOBS}/{job}/export?images=false"))
    assert set(archive.namelist()) == {"annotations/predictions.json", "askance-export.txt"}
    assert len(json.loads(archive.read("annotations/predictions.json"))["images"]) == 2
    assert json.loads(archive.read("askance-export.txt"))["missing"] == 0


def test_images_that_are_not_kept_are_counted(service, job):
    """Their boxes are there all the same."""
    lost = Path(service.services.settings.blobs_url)
    for name in files_of_images(service)[:1]:
        next(lost.rglob(Path(name).name)).unlink()
    archive = archive_of(service.call("GET", f"{JOBS}/{job}/export"))
    assert len([name for name in archive.namelist() if name.endswith(".png")]) == 1
    assert json.loads(archive.read("askance-export.txt"))["missing"] == 1


def test_images_that_were_dropped_are_left_out(service, job):
    """Though another project keeps the same bytes."""
    digest = service.call("GET", "/v1/projects/shapes/items").json()["items"][0]["digest"]
    content = service.services.blobs.get(digest)
    for task in service.call("POST", "/v1/projects/shapes/tasks/lease", "reviewer", json={"count": 9}).json()["tasks"]:
        answer = {"epoch": task["epoch"], "shapes": []}
        assert service.call("POST", f"/v1/tasks/{task['id']}/submit", "reviewer", json=answer).status_code == 200
    assert service.call("DELETE", f"/v1/projects/shapes/items/{digest}?reason=asked").status_code == 204
    service.services.blobs.put(content)
    archive = archive_of(service.call("GET", f"{JOBS}/{job}/export"))
    assert len([name for name in archive.namelist() if name.endswith(".png")]) == 1
    assert json.loads(archive.read("askance-export.txt"))["images"] == 1
    assert service.call("GET", f"/v1/projects/shapes/items/{digest}/image").status_code == 404


def test_what_cannot_be_exported_says_why(service, job, tmp_path):
    """One that goes on: 409; one that is unknown: 404; another format: 422; whoever is no operator: 403. Nothing is
    left on the disk."""
    unfinished = start(service, str(tmp_path.resolve())).json()["id"]
    problem(service.call("GET", f"{JOBS}/{unfinished}/export"), 409, "conflict")
    problem(service.call("GET", f"{JOBS}/ann_x/export"), 404, "not-found")
    problem(service.call("GET", f"{JOBS}/{job}/export?format=voc"), 422, "invalid")
    for role in ("producer", "reviewer"):
        problem(service.call("GET", f"{JOBS}/{job}/export", role), 403, "forbidden")
    archive_of(service.call("GET", f"{JOBS}/{job}/export"))
    assert list(service.services.settings.data_dir.glob("export-*")) == []


def test_the_client_saves_it(service, job, tmp_path):
    client = client_within(service)
    path = client.save_annotation("shapes", job, tmp_path / "found.zip", format="yolo")
    assert "data.yaml" in zipfile.ZipFile(path).namelist()
