"""The queue over HTTP, for operators: what waits, who holds it, and taking it back."""

from urllib.parse import quote

import pytest

from loop.domain.access import Role
from serving.client import Client
from tests.api.conftest import listening, picture
from tests.api.test_predictions import problem
from tests.api.test_queue import events, lease, one, person, policy, skip, staff  # noqa: F401 - a fixture
from tests.api.test_review import BOX, submit

pytestmark = pytest.mark.usefixtures("staff")


def tasks(service, **asked) -> dict:
    response = service.call("GET", "/v1/projects/shapes/tasks", params=asked)
    assert response.status_code == 200, response.text
    return response.json()


def test_operators_see_what_waits_and_who_has_it(service):
    """With the file that an image was, its proposal, and how many skipped it; page by page."""
    policy(service, skips_before_expert=5)
    given = [service.predict(picture(seed)).json() for seed in range(3)]
    kept = {"path": "line 1/frame-014.png"}
    added = service.call("POST", "/v1/projects/shapes/items", content=picture(9), params=kept)
    assert added.status_code in (200, 201), added.text
    asked = service.predict(picture(9)).json()
    skip(service, one(service, "bob"), "bob")
    held = one(service, "ada")
    pages = [tasks(service, limit=3)]
    assert pages[0]["next"] is not None
    pages.append(tasks(service, limit=3, after=pages[0]["next"]))
    assert pages[1]["next"] is None
    found = {row["id"]: row for page in pages for row in page["tasks"]}
    assert set(found) == {one["task_id"] for one in [*given, asked]}
    assert found[asked["task_id"]]["file"] == "frame-014.png"
    assert {row["prediction_id"] for row in found.values()} == {one["id"] for one in [*given, asked]}
    mine = found[held["id"]]
    assert (mine["state"], mine["holder"], mine["epoch"], mine["expires_at"]) == (
        "leased", "ada", held["epoch"], held["expires_at"],
    )  # fmt: skip
    assert sum(row["skips"] for row in found.values()) == 1
    assert [row["id"] for row in tasks(service, holder="ada")["tasks"]] == [held["id"]]
    assert service.call("GET", f"/v1/tasks/{held['id']}").json() == mine
    submit(service, held, [BOX], "ada")
    (done,) = tasks(service, state="done")["tasks"]
    assert (done["id"], done["holder"], done["expires_at"]) == (held["id"], "ada", None)


def test_a_task_that_nobody_may_do_says_so(service, staff):  # noqa: F811
    """Since the skill that it needs lost its last person."""
    person(service, staff["bob"], skills=["night"])
    policy(service, skills=[{"skill": "night"}])
    service.predict(picture())
    assert tasks(service, nobody=True)["tasks"] == []
    person(service, staff["bob"], skills=[])
    (stuck,) = tasks(service, nobody=True)["tasks"]
    assert (stuck["nobody"], stuck["skills"]) == (True, ["night"])


def test_a_lease_that_is_taken_back_goes_to_others(service):
    """What its holder sends late is a conflict; a lease that was not looked at stays; the history says who did it."""
    service.predict(picture())
    task = one(service, "ada")
    problem(service.call("POST", f"/v1/tasks/{task['id']}/take-back", json={"epoch": 9}), 409, "stale-lease")
    taken = service.call("POST", f"/v1/tasks/{task['id']}/take-back", json={"epoch": task["epoch"]})
    assert taken.status_code == 200, taken.text
    assert (taken.json()["state"], taken.json()["holder"]) == ("open", "")
    problem(submit(service, task, [BOX], "ada"), 409, "stale-lease")
    problem(service.call("POST", f"/v1/tasks/{task['id']}/take-back", json={}), 409, "conflict")
    assert submit(service, one(service, "bob"), [BOX], "bob").status_code == 200
    (event,) = events(service, "task.taken_back")
    assert (event["actor"], event["body"]["task_id"]) == ("operator", task["id"])


def test_the_queue_is_for_operators_of_the_project(service):
    """Reviewers would learn which of their work is judged, and from whom."""
    task = service.predict(picture()).json()["task_id"]
    _, service.tokens["local"] = service.services.tokens.create("local", Role.OPERATOR, "shapes")
    service.services.projects.create("other", ("a",))
    _, service.tokens["foreign"] = service.services.tokens.create("foreign", Role.OPERATOR, "other")
    calls = [
        ("GET", "/v1/projects/shapes/tasks", None),
        ("GET", f"/v1/tasks/{task}", None),
        ("POST", f"/v1/tasks/{task}/take-back", {}),
    ]
    for method, path, body in calls:
        for role in ("ada", "producer", "foreign"):
            problem(service.call(method, path, role, json=body), 403, "forbidden")
    assert [service.call(method, path, "local", json=body).status_code for method, path, body in calls] == [
        200,
        200,
        409,
    ]


@pytest.mark.parametrize("query", ["state=lost", "limit=0", "limit=1001", "after=task_1", "holder=ada&state=open"])
def test_what_cannot_be_asked_is_refused(service, query):
    response = service.call("GET", f"/v1/projects/shapes/tasks?{query}")
    assert response.status_code == 422
    assert response.json()["hint"]


def test_the_client_lists_tasks_and_takes_them_back(service):
    """The next page of a list is asked for with `next` as it is."""
    for seed in range(3):
        service.predict(picture(seed))
    with listening(service) as url, Client(url, service.tokens["operator"]) as client:
        first = client.tasks("shapes", limit=2, state="open")
        assert quote(first.next or "", safe="") != first.next
        rest = client.tasks("shapes", limit=2, state="open", after=first.next)
        assert len({task.id for task in [*first.tasks, *rest.tasks]}) == 3
        held = one(service, "ada")
        assert client.take_back(held["id"], held["epoch"]).state == "open"
        assert client.task(held["id"]).holder == ""
