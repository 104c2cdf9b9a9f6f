"""Reviewers' work over HTTP."""

import pytest

from tests.api.conftest import picture
from tests.api.test_predictions import problem

BOX = {"type": "box", "label": "circle", "box": [5, 5, 20, 20]}


def leased(service, count: int = 1) -> list[dict]:
    response = service.call("POST", "/v1/projects/shapes/tasks/lease", "reviewer", json={"count": count})
    assert response.status_code == 200, response.text
    return response.json()["tasks"]


def submit(service, task: dict, shapes: list[dict], role: str = "reviewer", epoch: int | None = None):
    body = {"epoch": task["epoch"] if epoch is None else epoch, "shapes": shapes}
    return service.call("POST", f"/v1/tasks/{task['id']}/submit", role, json=body)


def test_a_task_has_the_name_of_its_file(service):
    """Without folders: one of golden items would tell what they are. Empty where nobody said."""
    path = "/v1/projects/shapes/items"
    for seed, where in ((1, "golden/line 1/frame-014.png"), (2, r"C:\\shots\\odd.jpg"), (3, "")):
        params = {"path": where} if where else {}
        digest = service.call("POST", path, params=params, content=picture(seed)).json()["digest"]
        service.call("POST", f"{path}/ask", json={"items": [digest], "reason": "to look at"})
    assert sorted(task["file"] for task in leased(service, 3)) == ["", "frame-014.png", "odd.jpg"]


def test_an_answer_becomes_ground_truth(service):
    """Lease, submit: the task is done, the prediction shows what was wrong, the item has its truth."""
    prediction = service.predict(picture()).json()
    (task,) = leased(service)
    assert task["id"] == prediction["task_id"]
    answer = submit(service, task, [BOX])
    assert answer.status_code == 200, answer.text
    assert answer.json()["corrections"]
    stored = service.call("GET", f"/v1/projects/shapes/predictions/{prediction['id']}").json()
    assert stored["task_state"] == "done"
    assert stored["truth"]["shapes"] == [BOX]
    assert stored["truth"]["submission_ids"] == [answer.json()["id"]]
    assert leased(service) == []


def test_the_image_of_a_task_is_the_one_that_was_sent(service):
    """The reviewer sees the very bytes, with a fixed type and no sniffing."""
    content = picture(kind="WEBP")
    service.predict(content)
    (task,) = leased(service)
    image = service.call("GET", task["image_url"], "reviewer")
    assert image.content == content
    assert image.headers["content-type"] == "image/webp"
    assert image.headers["x-content-type-options"] == "nosniff"


def test_a_reload_goes_on_with_the_same_task(service):
    """What I hold comes first when I lease again, under the same epoch."""
    service.predict(picture(0))
    service.predict(picture(1))
    (first,) = leased(service)
    both = leased(service, 2)
    assert [both[0]["id"], both[0]["epoch"]] == [first["id"], first["epoch"]]
    assert both[1]["id"] != first["id"]


def test_nothing_in_a_task_tells_an_audit(service):
    """Audits are blind: the task a reviewer gets has neither risk nor reasons, and its stage is a review as any."""
    service.predict(picture())
    (task,) = leased(service)
    assert not {"risk", "priority", "decision", "reasons"} & set(task)
    assert task["stage"] == "review"


def test_the_most_urgent_comes_first(service):
    """Leases go by risk, descending, where none is an audit."""
    service.call("PATCH", "/v1/projects/shapes/policy", json={"audit_rate": 0})
    risks = {}
    for seed in range(4):
        body = service.predict(picture(seed)).json()
        risks[body["task_id"]] = body["decision"]["risk"]
    handed = [task["id"] for task in leased(service, 4)]
    assert [risks[t] for t in handed] == sorted(risks.values(), reverse=True)


def test_a_stale_epoch_can_do_nothing(service):
    """Heartbeat, submit, skip and release under an older epoch are 409, with what to do."""
    service.predict(picture())
    (task,) = leased(service)
    for action, body in (
        ("heartbeat", {}),
        ("submit", {"shapes": []}),
        ("skip", {"reason": "dark"}),
        ("release", {}),
    ):
        response = service.call(
            "POST", f"/v1/tasks/{task['id']}/{action}", "reviewer", json={"epoch": task["epoch"] - 1, **body}
        )
        problem(response, 409, "stale-lease")
    assert submit(service, task, []).status_code == 200


def test_a_second_answer_is_refused_and_the_first_stays(service):
    """Another answer to a done task is 409 naming the first; the same answer again is the same submission."""
    service.predict(picture())
    (task,) = leased(service)
    first = submit(service, task, [BOX]).json()
    assert submit(service, task, [BOX]).json()["id"] == first["id"]
    assert problem(submit(service, task, []), 409, "already-submitted")["ids"]["submission"] == first["id"]


@pytest.mark.parametrize(
    ("shape", "code"),
    [
        (BOX | {"label": "triangle"}, "unknown-label"),
        (BOX | {"box": [5, 5, 90, 20]}, "bad-shape"),
        (BOX | {"box": [20, 5, 5, 20]}, "bad-shape"),
        (BOX | {"box": [1, 2, 3]}, "invalid"),
        (BOX | {"colour": "red"}, "invalid"),
        (BOX | {"type": "polygon"}, "invalid"),
    ],
    ids=["unknown label", "outside", "turned", "three numbers", "unknown field", "unknown geometry"],
)
def test_a_bad_shape_is_refused_and_the_task_stays_mine(service, shape, code):
    """422 says which shape and why; the lease lives on, nothing is stored."""
    service.predict(picture())
    (task,) = leased(service)
    problem(submit(service, task, [shape]), 422, code)
    assert submit(service, task, [BOX]).status_code == 200


def test_release_gives_the_task_to_the_next(service):
    """A released task is handed out again under a new epoch."""
    service.predict(picture())
    (task,) = leased(service)
    body = {"epoch": task["epoch"]}
    assert service.call("POST", f"/v1/tasks/{task['id']}/release", "reviewer", json=body).status_code == 204
    (again,) = service.call("POST", "/v1/projects/shapes/tasks/lease", "operator", json={"count": 1}).json()["tasks"]
    assert (again["id"], again["epoch"]) == (task["id"], task["epoch"] + 1)


def test_two_reviewers_never_hold_one_task(service):
    """What one holds, the other is not given."""
    for seed in range(3):
        service.predict(picture(seed))
    mine = {task["id"] for task in leased(service, 2)}
    theirs = service.call("POST", "/v1/projects/shapes/tasks/lease", "operator", json={"count": 3}).json()["tasks"]
    assert not mine & {task["id"] for task in theirs}


def test_a_skip_keeps_its_reason(service):
    """A skipped task leaves no truth behind and is not handed out again."""
    prediction = service.predict(picture()).json()
    (task,) = leased(service)
    body = {"epoch": task["epoch"], "reason": "too dark"}
    assert service.call("POST", f"/v1/tasks/{task['id']}/skip", "reviewer", json=body).json()["outcome"] == "skipped"
    stored = service.call("GET", f"/v1/projects/shapes/predictions/{prediction['id']}").json()
    assert (stored["task_state"], stored["truth"], stored["corrections"]) == ("skipped", None, None)


def test_an_unknown_task_is_404(service):
    """With what to do."""
    problem(service.call("POST", "/v1/tasks/nope/release", "reviewer", json={"epoch": 1}), 404, "not-found")


@pytest.mark.parametrize(
    ("shape", "code"),
    [
        ('{"label": "circle", "box": [0, 0, 1e999, 10]}', "invalid"),
        ('{"label": "\\ud800", "box": [0, 0, 9, 10]}', "unknown-label"),
    ],
    ids=["infinity", "half a character"],
)
def test_what_json_can_hold_but_no_answer_can_is_refused(service, shape, code):
    """Infinity and lone surrogates are 422, never an error of the service."""
    service.predict(picture())
    (task,) = leased(service)
    response = service.call(
        "POST",
        f"/v1/tasks/{task['id']}/submit",
        "reviewer",
        content=f'{{"epoch": {task["epoch"]}, "shapes": [{shape}]}}',
        headers={"Content-Type": "application/json"},
    )
    problem(response, 422, code)
