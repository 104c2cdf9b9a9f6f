"""Bulk annotation over HTTP: who may start what, and what a job tells."""

import os
from pathlib import Path

import pytest

from loop.domain.items.annotation import AnnotationResult
from tests.api.conftest import picture
from tests.api.test_predictions import problem

JOBS = "/v1/projects/shapes/annotations"


@pytest.fixture
def images(tmp_path: Path) -> str:
    folder = Path(os.path.realpath(tmp_path)) / "images"
    folder.mkdir()
    (folder / "a.png").write_bytes(picture())
    return str(folder)


def start(service, source: str, role: str = "operator", **body):
    return service.call("POST", JOBS, role, json={"source": source, **body})


def test_an_operator_queues_any_folder(service, images):
    """202 with the job, which names the champion and is found again, newest first."""
    first, second = start(service, images).json(), start(service, images, review=False)
    assert second.status_code == 202
    body = second.json()
    assert (body["state"], body["source"], body["review"], body["found"]) == ("queued", images, False, 0)
    assert body["model_id"] == service.call("GET", "/v1/projects/shapes").json()["champion_id"]
    assert service.call("GET", f"{JOBS}/{body['id']}", "producer").json() == body
    page = service.call("GET", f"{JOBS}?limit=1").json()
    assert [job["id"] for job in page["annotations"]] == [body["id"]]
    rest = service.call("GET", f"{JOBS}?after={page['next']}").json()
    assert [job["id"] for job in rest["annotations"]] == [first["id"]]


def test_others_need_an_allowed_source(service, images):
    """A producer, and an operator of one project, read nothing that the settings do not name."""
    own = {"name": "o", "role": "operator", "project_id": "shapes"}
    service.tokens["own"] = service.call("POST", "/v1/tokens", json=own).json()["secret"]
    for role in ("producer", "own"):
        problem(start(service, images, role), 403, "source-not-allowed")
    problem(start(service, images, "reviewer"), 403, "forbidden")
    problem(start(service, "http://127.0.0.1:8000/metrics"), 403, "source-not-allowed")


@pytest.mark.parametrize(
    ("source", "code"),
    [("/no/such/folder", "bad-dataset"), ("images", "invalid"), ("a::b", "invalid"), ("/a\0b", "invalid")],
)
def test_a_source_that_cannot_be_is_refused_at_once(service, source, code):
    """422 before anything is queued."""
    problem(start(service, source), 422, code)
    assert service.call("GET", JOBS).json()["annotations"] == []


def test_unknown_jobs_models_and_projects_are_404(service, images):
    """Each by its own name."""
    problem(start(service, images, model_id="model_x"), 404, "not-found")
    for method, path in (("GET", ""), ("GET", "/bad"), ("POST", "/cancel")):
        problem(service.call(method, f"{JOBS}/ann_x{path}"), 404, "not-found")
    problem(service.call("GET", "/v1/projects/nope/annotations"), 404, "not-found")


def test_a_job_can_be_cancelled(service, images):
    """Once and again; it stays so."""
    job = start(service, images).json()["id"]
    for _ in range(2):
        cancelled = service.call("POST", f"{JOBS}/{job}/cancel")
        assert cancelled.status_code == 200
        assert cancelled.json()["state"] == "cancelled"


def test_bad_images_are_listed_up_to_a_thousand(service, images):
    """With where they are and why; the count is of all."""
    job = start(service, images).json()["id"]
    with service.services.store.begin() as tx:
        running = tx.annotations.get("shapes", job).started("k", 1200, service.services.clock())
        tx.annotations.save(running.counted(0, 1100, service.services.clock()))
        tx.annotations.record(
            [AnnotationResult(job_id=job, position=n, url=f"/x/{n}", reason="no image") for n in range(1100)]
        )
    body = service.call("GET", f"{JOBS}/{job}/bad", "producer").json()
    assert body["bad"] == 1100
    assert len(body["images"]) == 1000
    assert body["images"][0] == {"url": "/x/0", "reason": "no image"}
