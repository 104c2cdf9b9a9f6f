"""Sampled QA of uploads, over HTTP and by the command line: all of it is annotated, a tenth is looked at, and that
decides about all of it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from loop.cli import app
from loop.domain.errors import Invalid
from loop.domain.identity import digest_of
from serving.client import ApiError
from tests.api.conftest import listening, picture
from tests.api.test_lots import PATH, decide, detail, judge, listed, lots_of
from tests.api.test_predictions import problem
from tests.api.test_qa import truth, workflow
from tests.api.test_queue import events, lease, staff  # noqa: F401 - a fixture
from tests.api.test_review import BOX, submit

FLOWS = Path(__file__).parents[2] / "configs" / "flows"


def opened(service, **body) -> str:
    response = service.call("POST", PATH, "producer", json=body)
    assert response.status_code == 201, response.text
    assert (response.json()["state"], response.json()["items"], response.json()["upload"]) == ("open", 0, True)
    return response.json()["id"]


def close(service, lot_id: str, role: str = "producer"):
    return service.call("POST", f"{PATH}/{lot_id}/close", role)


def uploaded(service, count: int, **body) -> str:
    """An upload of so many images, closed; gives its lot."""
    lot_id = opened(service, **body)
    for seed in range(count):
        assert service.predict(picture(seed), params={"lot": lot_id}).status_code == 200
    response = close(service, lot_id)
    assert response.status_code == 200, response.text
    assert (response.json()["state"], response.json()["items"]) == ("inspecting", count)
    return lot_id


def annotate(service, by: str, count: int) -> list[str]:
    """All that one person gets; their items."""
    tasks = lease(service, by, count)["tasks"]
    assert len(tasks) == count
    for task in tasks:
        assert submit(service, task, [BOX], by).status_code == 200
    return [task["item_digest"] for task in tasks]


@pytest.mark.parametrize("right", [True, False])
def test_a_tenth_of_an_upload_decides_about_all_of_it(service, staff, right):  # noqa: F811
    """Marked when it closes, whatever the policy's size of lots; with the numbers kept. Where they are wrong, each of
    the others is opened for review by itself."""
    lots_of(service, 3, share=0.1, threshold=0.0)
    lot_id = uploaded(service, 20, source="monday")
    digests = annotate(service, "ada", 20)
    marked = {task["item_digest"] for task in detail(service, lot_id)["tasks"][:2]}
    assert detail(service, lot_id)["in_qa"] == 2
    assert not any(truth(service, digest) for digest in digests)
    seen = {judge(service, "bob", right) for _ in range(2 if right else 1)}
    assert seen <= marked
    lot = detail(service, lot_id)
    if right:
        assert (lot["state"], lot["inspected"], lot["defects"]) == ("accepted", 2, 0)
        assert all(truth(service, digest) for digest in digests)
        return
    assert (lot["state"], lot["inspected"], lot["defects"], lot["in_qa"]) == ("rejected", 1, 1, 19)
    assert (lot["source"], events(service, "lot.rejected")[0]["body"]["lot_id"]) == ("monday", lot_id)
    for _ in range(19):
        judge(service, "bob")
    assert all(truth(service, digest) for digest in digests)


def test_each_image_of_an_upload_goes_to_a_person(service, staff):  # noqa: F811
    """Also what the model is sure of; a retry with its key creates nothing twice."""
    lots_of(service, 50)
    service.call("PATCH", "/v1/projects/shapes/policy", json={"threshold": 1.0, "audit_rate": 0.0})
    lot_id = opened(service)
    sure = service.predict(picture(0)).json()
    assert sure["task_id"] is None
    about = {"params": {"lot": lot_id}, "headers": {"Idempotency-Key": "once"}}
    for _ in range(2):
        assert service.predict(picture(1), **about).status_code == 200
    other = {"params": {"lot": opened(service)}, "headers": {"Idempotency-Key": "once"}}
    assert service.predict(picture(1), **other).status_code == 422
    assert [lot["items"] for lot in listed(service) if lot["id"] == lot_id] == [1]
    problem(service.predict(picture(2), params={"lot": lot_id, "review": "never"}), 422, "invalid")


def test_what_people_had_is_not_asked_for_again(service, staff):  # noqa: F811
    """Whether their work is open or done, and by whichever upload; the model's answer is had all the same."""
    lots_of(service, 50)
    service.call("PATCH", "/v1/projects/shapes/policy", json={"threshold": 1.0, "audit_rate": 0.0})
    first, second = opened(service), opened(service)
    assert service.predict(picture(0), params={"lot": first}).json()["task_id"]
    again = service.predict(picture(0), params={"lot": second}).json()
    assert (again["task_id"], again["detections"]) == (None, service.predict(picture(0)).json()["detections"])
    assert [reason["code"] for reason in again["decision"]["reasons"]] == ["asked-before"]
    annotate(service, "ada", 1)
    assert service.predict(picture(0), params={"lot": second}).json()["task_id"] is None
    assert service.predict(picture(1), params={"lot": second}).json()["task_id"]
    assert {lot["id"]: lot["items"] for lot in listed(service)} == {first: 1, second: 1}
    problem(service.predict(picture(0), params={"lot": "lot_none"}), 404, "not-found")
    assert close(service, first).status_code == 200
    assert "is closed" in problem(service.predict(picture(0), params={"lot": first}), 409, "conflict")["detail"]


def test_images_without_a_model_are_asked_for_in_their_upload(service, staff):  # noqa: F811
    """Once each, however often they are sent; what people did before is not asked for again."""
    lots_of(service, 50)
    lot_id = opened(service)

    def add(seed: int) -> dict:
        params = {"lot": lot_id, "source": "north"}
        path = "/v1/projects/shapes/items"
        return service.call("POST", path, "producer", content=picture(seed), params=params).json()

    first = add(0)
    assert first["task_id"] and first["new"]
    assert add(0) == {**first, "new": False, "task_id": None}
    assert service.predict(picture(1)).json()["task_id"]
    assert add(1)["task_id"] is None
    known = service.call("POST", "/v1/projects/shapes/items", "producer", content=picture(2)).json()
    assert (known["new"], known["task_id"]) == (True, None)
    assert (add(2)["new"], detail(service, lot_id)["items"]) == (False, 2)
    assert close(service, lot_id).status_code == 200
    assert [task["task_id"] for task in detail(service, lot_id)["tasks"]].count(first["task_id"]) == 1


def test_what_cannot_be_says_what_to_do(service, staff):  # noqa: F811
    told = problem(service.call("POST", PATH, "producer", json={}), 409, "conflict")
    assert "echo 'workflow: {qa: lots}' | askance policy set - -p shapes" in told["hint"]
    lots_of(service, 50)
    lot_id = opened(service)
    assert "nothing was sent" in problem(close(service, lot_id), 409, "conflict")["detail"]
    service.predict(picture(0), params={"lot": lot_id})
    assert close(service, lot_id, "reviewer").status_code == 403
    assert close(service, lot_id).json() == close(service, lot_id).json()
    again = problem(service.predict(picture(1), params={"lot": lot_id}), 409, "conflict")
    assert "is closed" in again["detail"]
    problem(service.predict(picture(1), params={"lot": "lot_none"}), 404, "not-found")
    service.predict(picture(2))
    (filling,) = (lot for lot in listed(service) if not lot["upload"])
    assert "no upload" in problem(close(service, filling["id"]), 409, "conflict")["detail"]


def test_an_operator_decides_an_upload_before_its_end(service, staff):  # noqa: F811
    """It is closed then."""
    lots_of(service, 50)
    lot_id = opened(service)
    service.predict(picture(0), params={"lot": lot_id})
    assert decide(service, {"id": lot_id}, "accept").json()["state"] == "accepted"
    problem(service.predict(picture(1), params={"lot": lot_id}), 409, "conflict")


def folder_of(folder: Path, count: int) -> Path:
    folder.mkdir()
    for seed in range(count):
        (folder / f"{seed}.png").write_bytes(picture(seed))
    return folder


def run(url: str, *arguments: str):
    return CliRunner().invoke(app, [*arguments, "--url", url], env={"COLUMNS": "200"})


def test_a_folder_is_uploaded_from_the_command_line(service, staff, tmp_path, monkeypatch):  # noqa: F811
    """With the example of a flow, as docs/workflow.md has it: set the policy, upload, look. Broken off, it goes on
    without asking for anything twice."""
    folder = folder_of(tmp_path / "monday", 12)
    monkeypatch.setenv("ASKANCE_TOKEN", service.tokens["operator"])
    with listening(service) as url:
        refused = run(url, "upload", str(folder), "-p", "shapes")
        assert isinstance(refused.exception, ApiError)
        assert "has no lots" in str(refused.exception)
        assert run(url, "policy", "set", str(FLOWS / "sampled-qa.yaml"), "-p", "shapes").exit_code == 0
        broken = opened(service, source="monday")
        service.predict(picture(0), "operator", params={"lot": broken, "source": "monday"},
                        headers={"Idempotency-Key": f"{broken} {digest_of(picture(0))}"})  # fmt: skip
        (folder / "x.png").write_bytes(b"no image")
        done = run(url, "upload", str(folder), "-p", "shapes", "--lot", broken)
        assert done.exit_code == 0, done.output
        assert "12 images are with people, 0 were before, 1 bad" in done.output
        assert f"askance lots show {broken}" in done.output
        again = run(url, "upload", str(folder), "-p", "shapes")
        assert "Nothing new: 12 images were with people before, 1 bad" in again.output
        shown = run(url, "lots", "show", broken, "-p", "shapes")
        assert "12 items" in shown.output
        assert "an upload" in shown.output
        none = run(url, "upload", str(tmp_path), "-p", "none")
        assert "none" in str(none.exception)
    digests = annotate(service, "ada", 12)
    judge(service, "bob")
    judge(service, "bob")
    assert detail(service, broken)["state"] == "accepted"
    assert all(truth(service, digest) for digest in digests)


def test_a_project_without_a_model_is_uploaded_to(service, tmp_path, monkeypatch):
    """People begin with an empty image; what they had before is told."""
    assert service.call("POST", "/v1/projects", json={"id": "bare", "labels": ["bolt"]}).is_success
    service.call("PATCH", "/v1/projects/bare/policy", json={"workflow": {"qa": "lots"}})
    folder = folder_of(tmp_path / "bolts", 3)
    monkeypatch.setenv("ASKANCE_TOKEN", service.tokens["operator"])
    with listening(service) as url:
        done = run(url, "upload", str(folder), "-p", "bare")
        assert "3 images are with people, 0 were before, 0 bad" in done.output, done.output
        again = run(url, "upload", str(folder), "-p", "bare")
        assert again.exit_code == 0, again.output
        assert "Nothing new: 3 images were with people before, 0 bad" in again.output
    tasks = service.call("POST", "/v1/projects/bare/tasks/lease", "reviewer", json={"count": 5}).json()["tasks"]
    assert [task["detections"] for task in tasks] == [[]] * 3
    (lot,) = (lot for lot in service.call("GET", "/v1/projects/bare/lots").json()["lots"] if lot["items"])
    assert (lot["upload"], lot["items"], lot["source"], lot["state"]) == (True, 3, "bolts", "inspecting")


def test_a_lot_holds_only_so_many(service, tmp_path, monkeypatch):
    """Said before anything is sent."""
    monkeypatch.setattr("loop.cli.collecting.LARGEST_LOT", 2)
    workflow(service, qa="lots")
    told = run("http://localhost:9", "upload", str(folder_of(tmp_path / "many", 3)), "-p", "shapes").exception
    assert isinstance(told, Invalid)
    assert "in several parts" in told.hint
