"""Who gets which task, and what becomes of it: groups, several people, skips, drafts, deadlines, re-opening."""

from dataclasses import replace
from datetime import timedelta

import pytest

from loop.domain.access import Role
from loop.wiring import utc_now
from tests.api.conftest import picture
from tests.api.test_predictions import problem
from tests.api.test_review import BOX, submit

ELSEWHERE = BOX | {"box": [40, 30, 60, 45]}


@pytest.fixture
def staff(service):
    """Reviewers ada, bob, cyd and dan beside those of the roles; gives the ids of their tokens."""
    ids = {}
    for name in ("ada", "bob", "cyd", "dan"):
        token, service.tokens[name] = service.services.tokens.create(name, Role.REVIEWER, "shapes")
        ids[name] = token.id
    return ids


def policy(service, **queue):
    response = service.call("PATCH", "/v1/projects/shapes/policy", json={"queue": queue})
    assert response.status_code == 200, response.text
    return response.json()["queue"]


def person(service, token_id: str, **changes):
    response = service.call("PATCH", f"/v1/people/{token_id}", json=changes)
    assert response.status_code == 200, response.text
    return response.json()


def lease(service, name: str, count: int = 1) -> dict:
    response = service.call("POST", "/v1/projects/shapes/tasks/lease", name, json={"count": count})
    assert response.status_code == 200, response.text
    return response.json()


def one(service, name: str) -> dict:
    (task,) = lease(service, name)["tasks"]
    return task


def skip(service, task: dict, name: str):
    body = {"epoch": task["epoch"], "reason": "dark"}
    return service.call("POST", f"/v1/tasks/{task['id']}/skip", name, json=body)


def item(service, digest: str, role: str = "operator") -> dict:
    return service.call("GET", f"/v1/projects/shapes/items/{digest}", role).json()


def events(service, kind: str) -> list[dict]:
    found = service.call("GET", "/v1/projects/shapes/events?limit=1000").json()["events"]
    return [event for event in found if event["kind"] == kind]


def at(service, seconds: float):
    """The desk and the operators' side as they are so much later."""

    def later():
        return utc_now() + timedelta(seconds=seconds)

    services = service.services
    return (
        replace(services.desk, clock=later),
        replace(services.oversight, clock=later),
        replace(services.escalation, clock=later),
    )


def test_tasks_go_to_those_who_may_do_them(service, staff):
    """A stage can be kept for groups, and a source can need a skill; from the next lease on."""
    person(service, staff["ada"], groups=["leads"])
    person(service, staff["bob"], skills=["night"])
    policy(service, stage_groups={"annotate": ["leads"]}, skills=[{"skill": "night", "source": "north"}])
    service.call("PATCH", "/v1/projects/shapes/policy", json={"audit_rate": 0})  # an audit is of another stage
    plain = service.predict(picture(0)).json()["task_id"]
    service.predict(picture(1), params={"source": "north"})
    assert lease(service, "bob", 5)["tasks"] == []
    assert [task["id"] for task in lease(service, "ada", 5)["tasks"]] == [plain]
    person(service, staff["ada"], skills=["night"])
    assert len(lease(service, "ada", 5)["tasks"]) == 2


def test_a_policy_that_cannot_work_is_refused(service, staff):
    """Weights below zero, groups and skills that nobody has: 422 that says which, and nothing changes."""
    before = service.call("GET", "/v1/projects/shapes").json()["policy"]
    for queue, named in (
        ({"risk_weight": -1}, "risk_weight"),
        ({"expert_group": "wizards"}, "wizards"),
        ({"stage_groups": {"annotate": ["elves"]}}, "elves"),
        ({"skills": [{"skill": "night"}]}, "night"),
        ({"people": {"annotate": 0}}, "people.annotate"),
    ):
        response = service.call("PATCH", "/v1/projects/shapes/policy", json={"queue": queue})
        told = problem(response, 422, "invalid")
        assert named in told["detail"], told
        assert told["hint"]
    assert service.call("PATCH", "/v1/projects/shapes/policy", json={"queue": {"risk": 1}}).status_code == 422
    assert service.call("GET", "/v1/projects/shapes").json()["policy"] == before


def test_people_are_listed_with_what_they_did(service, staff):
    """Of reviewers and operators; an operator of one project sees and sets only its own."""
    _, service.tokens["local"] = service.services.tokens.create("local", Role.OPERATOR, "shapes")
    service.predict(picture())
    submit(service, one(service, "ada"), [BOX], "ada")
    people = {one["name"]: one for one in service.call("GET", "/v1/people").json()}
    assert people["ada"]["answered"] == 1
    assert "producer" not in people
    assert "reviewer" in people
    here = [one["name"] for one in service.call("GET", "/v1/people", "local").json()]
    assert here == ["ada", "bob", "cyd", "dan", "local"]
    everywhere = people["reviewer"]["token_id"]
    problem(service.call("PATCH", f"/v1/people/{everywhere}", "local", json={"groups": []}), 403, "forbidden")
    problem(service.call("PATCH", "/v1/people/nobody", json={"groups": []}), 404, "not-found")
    problem(service.call("PATCH", f"/v1/people/{staff['ada']}", json={"groups": ["No!"]}), 422, "invalid")
    assert service.call("GET", "/v1/people", "ada").status_code == 403


def test_limits_say_why_there_is_no_more(service, staff):
    """Held at once, and answered a day; a person's own before the project's."""
    for seed in range(4):
        service.predict(picture(seed))
    policy(service, max_leases=1)
    got = lease(service, "ada", 3)
    assert len(got["tasks"]) == 1
    assert "1 tasks at once" in got["why"]
    person(service, staff["ada"], max_leases=3, max_tasks_a_day=2)
    got = lease(service, "ada", 3)
    assert len(got["tasks"]) == 2
    assert "2 tasks a day" in got["why"]
    for task in got["tasks"]:
        assert submit(service, task, [BOX], "ada").status_code == 200
    assert lease(service, "ada")["tasks"] == []
    assert person(service, staff["ada"], max_tasks_a_day=None)["max_tasks_a_day"] is None
    assert len(lease(service, "ada")["tasks"]) == 1


def test_several_people_who_agree_make_the_truth(service, staff):
    """Not before the last of them; the item shows all that was said, to operators."""
    policy(service, people={"annotate": 2, "audit": 2})
    prediction = service.predict(picture()).json()
    first = one(service, "ada")
    assert submit(service, first, [BOX], "ada").status_code == 200
    digest = prediction["item_digest"]
    assert item(service, digest)["truth"] is None
    assert service.call("GET", f"/v1/projects/shapes/predictions/{prediction['id']}").json()["task_state"] == "open"
    assert lease(service, "ada")["tasks"] == []  # one person, one answer
    assert submit(service, one(service, "bob"), [BOX], "bob").status_code == 200
    told = item(service, digest)
    assert told["truth"]["shapes"] == [BOX]
    assert [one["reviewer"] for one in told["submissions"]] == [staff["ada"], staff["bob"]]
    assert told["truth"]["submission_ids"] == [one["id"] for one in told["submissions"]]
    assert [one["settles"] for one in told["submissions"]] == [False, True]
    assert item(service, digest, "ada")["submissions"] == []
    stored = service.call("GET", f"/v1/projects/shapes/predictions/{prediction['id']}").json()
    assert (stored["task_state"], stored["corrections"]) == ("done", told["submissions"][1]["corrections"])
    assert lease(service, "cyd")["tasks"] == []


def test_who_gave_no_answer_decides_between_those_that_differ(service, staff):
    """They see the answers, not whose they are; theirs becomes the truth."""
    policy(service, people={"annotate": 2, "audit": 2})
    digest = service.predict(picture()).json()["item_digest"]
    submit(service, one(service, "ada"), [BOX], "ada")
    submit(service, one(service, "bob"), [ELSEWHERE], "bob")
    assert item(service, digest)["truth"] is None
    assert lease(service, "ada")["tasks"] == lease(service, "bob")["tasks"] == []
    task = one(service, "cyd")
    assert [answer["shapes"] for answer in task["answers"]] == [[BOX], [ELSEWHERE]]
    assert staff["ada"] not in str(task)
    decided = submit(service, task, [ELSEWHERE], "cyd").json()
    truth = item(service, digest)["truth"]
    assert (truth["shapes"], truth["submission_ids"]) == ([ELSEWHERE], [decided["id"]])
    assert lease(service, "dan")["tasks"] == []


def test_a_prediction_counts_once_however_many_answered(service, staff):
    """What is learned of a model's failures has one row for it, also when it was opened anew."""
    policy(service, people={"annotate": 2, "audit": 2})
    prediction = service.predict(picture()).json()
    for name in ("ada", "bob"):
        submit(service, one(service, name), [BOX], name)

    def reviewed() -> int:
        with service.services.store.read() as tx:
            return len(tx.submissions.reviewed("shapes", prediction["model_id"]))

    assert reviewed() == 1
    service.call("POST", f"/v1/tasks/{prediction['task_id']}/reopen")
    assert reviewed() == 0
    for name in ("ada", "bob"):
        submit(service, one(service, name), [ELSEWHERE], name)
    assert reviewed() == 1


def test_what_nobody_can_say_goes_to_experts_and_then_ends(service, staff):
    """Never back to those who skipped it."""
    person(service, staff["dan"], groups=["experts"])
    policy(service, skips_before_expert=2, expert_group="experts")
    prediction = service.predict(picture()).json()
    for name in ("ada", "bob"):
        assert skip(service, one(service, name), name).status_code == 200
        assert lease(service, name)["tasks"] == []
    assert lease(service, "cyd")["tasks"] == []
    assert skip(service, one(service, "dan"), "dan").json()["outcome"] == "skipped"
    stored = service.call("GET", f"/v1/projects/shapes/predictions/{prediction['id']}").json()
    assert stored["task_state"] == "skipped"
    assert [event["body"]["closed"] for event in events(service, "task.skipped")] == [False, False, True]


def test_a_draft_comes_back_with_the_next_lease(service, staff):
    """Also after the lease ran out, and to nobody else; a stale epoch cannot overwrite it; an answer ends it."""
    service.predict(picture())
    task = one(service, "ada")
    path = f"/v1/tasks/{task['id']}/draft"
    body = {"epoch": task["epoch"], "content": {"shapes": [BOX], "zoom": 2}}
    assert service.call("POST", path, "ada", json=body).status_code == 200
    assert one(service, "ada")["draft"]["content"] == body["content"]
    service.call("POST", f"/v1/tasks/{task['id']}/release", "ada", json={"epoch": task["epoch"]})
    theirs = one(service, "bob")
    assert theirs["draft"] is None
    problem(service.call("POST", path, "ada", json=body | {"content": {}}), 409, "stale-lease")
    service.call("POST", f"/v1/tasks/{task['id']}/release", "bob", json={"epoch": theirs["epoch"]})
    again = one(service, "ada")
    assert again["draft"]["content"] == body["content"]
    assert again["draft"]["epoch"] < again["epoch"]
    submit(service, again, [BOX], "ada")
    service.call("POST", f"/v1/tasks/{task['id']}/reopen")
    assert one(service, "ada")["draft"] is None


@pytest.mark.parametrize(
    ("content", "status"),
    [
        ('{"n": 1e999}', 422),
        ('{"t": "' + "x" * 1_000_001 + '"}', 413),
        ('{"t": "\\ud800"}', 422),
        ('{"t": "\\u0000é"}', 200),
        ("[]", 422),
    ],
    ids=["infinity", "too large", "half a character", "nul", "no object"],
)
def test_a_draft_is_bounded_json(service, staff, content, status):
    """Whatever else the page keeps in it comes back."""
    service.predict(picture())
    task = one(service, "ada")
    response = service.call(
        "POST",
        f"/v1/tasks/{task['id']}/draft",
        "ada",
        content=f'{{"epoch": {task["epoch"]}, "content": {content}}}',
        headers={"Content-Type": "application/json"},
    )
    assert response.status_code == status, response.text
    assert (one(service, "ada")["draft"] is not None) == (status == 200)


def test_an_item_is_opened_again_once(service, staff):
    """All that is closed of it; what was answered stays and counts once; a second operator is told."""
    prediction = service.predict(picture()).json()
    task = one(service, "ada")
    problem(service.call("POST", f"/v1/tasks/{task['id']}/reopen"), 409, "conflict")
    first = submit(service, task, [BOX], "ada").json()
    path = f"/v1/projects/shapes/items/{prediction['item_digest']}/reopen"
    assert service.call("POST", path).json() == {"task_ids": [task["id"]]}
    problem(service.call("POST", path), 409, "conflict")
    assert submit(service, task, [BOX], "ada").json()["id"] == first["id"]  # a late repeat changes nothing
    again = one(service, "ada")
    assert again["epoch"] > task["epoch"]
    second = submit(service, again, [ELSEWHERE], "ada").json()
    told = item(service, prediction["item_digest"])
    assert [(one["id"], one["round"]) for one in told["submissions"]] == [(first["id"], 0), (second["id"], 1)]
    assert (told["truth"]["version"], told["truth"]["shapes"]) == (2, [ELSEWHERE])
    assert {one["name"]: one["answered"] for one in service.call("GET", "/v1/people").json()}["ada"] == 1
    assert [event["body"]["round"] for event in events(service, "task.reopened")] == [1]
    problem(service.call("POST", f"/v1/projects/shapes/items/{'d' * 64}/reopen"), 404, "not-found")
    problem(service.call("POST", "/v1/tasks/nope/reopen"), 404, "not-found")
    assert service.call("POST", path, "ada").status_code == 403


def test_a_deadline_that_passes_is_told_and_then_escalated(service, staff):
    """By the background loop, and by the next lease; each once. The escalation group alone gets it then."""
    person(service, staff["dan"], groups=["leads"])
    policy(service, due_seconds={"annotate": 100, "audit": 100}, escalate_after_seconds=50, escalation_group="leads")
    service.predict(picture(0))
    service.predict(picture(1))
    assert at(service, 90)[2].sound() == 0
    assert at(service, 110)[2].sound() == 2
    assert at(service, 110)[2].sound() == 0
    assert len(events(service, "task.overdue")) == 2
    desk, _, _ = at(service, 160)
    tokens = {name: service.services.tokens.authenticate(service.tokens[name]) for name in ("ada", "dan")}
    assert desk.lease(tokens["ada"], "shapes", 5).assignments == []
    assert len(desk.lease(tokens["dan"], "shapes", 5).assignments) == 2
    assert [event["body"]["group"] for event in events(service, "task.escalated")] == ["leads", "leads"]


def test_one_camera_does_not_starve_another(service, staff):
    """With fair sources, tasks come from the sources in turn, one lease at a time too."""
    policy(service, fair_sources=True, source_shares={"gate": 2})
    for seed in range(8):
        service.predict(picture(seed), params={"source": "gate"})
    for seed in range(8, 10):
        service.predict(picture(seed), params={"source": "yard"})
    handed = []
    for _ in range(6):
        task = one(service, "ada")
        handed.append(item(service, task["item_digest"])["source"])
        submit(service, task, [BOX], "ada")
    assert handed.count("yard") == 2
    assert handed[:3].count("yard") == 1
