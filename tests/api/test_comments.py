"""Comments over HTTP: who writes, who reads what, and that nothing tells what others think of an item."""

import pytest

from loop.domain.access import Role
from loop.domain.review.comments import MOST_OF_ONE
from tests.api.conftest import picture
from tests.api.test_predictions import problem
from tests.api.test_queue import events, lease, one, policy, staff  # noqa: F401 - a fixture
from tests.api.test_review import BOX, submit

pytestmark = pytest.mark.usefixtures("staff")


def write(service, digest: str, role: str, **body):
    path = f"/v1/projects/shapes/items/{digest}/comments"
    return service.call("POST", path, role, json={"text": "is this one?"} | body)


def written(service, digest: str, role: str, **body) -> dict:
    response = write(service, digest, role, **body)
    assert response.status_code == 201, response.text
    return response.json()


def read(service, digest: str, role: str) -> list[dict]:
    response = service.call("GET", f"/v1/projects/shapes/items/{digest}/comments", role)
    assert response.status_code == 200, response.text
    return response.json()["comments"]


def test_a_comment_is_kept_as_it_was_said(service):
    """With its kind, shape, place and task; open, and without replies."""
    service.predict(picture())
    task = one(service, "ada")
    made = written(
        service, task["item_digest"], "ada", text="  which rule? ", kind="question", shape="s1", at=[3, 4.5],
        task_id=task["id"],
    )  # fmt: skip
    expected = {
        "text": "which rule?", "kind": "question", "shape": "s1", "at": [3.0, 4.5], "task_id": task["id"],
        "author": "ada", "state": "open", "resolved_at": None, "resolved_by": None, "replies": [],
        "item_digest": task["item_digest"],
    }  # fmt: skip
    assert {name: made[name] for name in expected} == expected
    assert read(service, task["item_digest"], "ada") == [made]
    plain = written(service, task["item_digest"], "ada")
    assert (plain["kind"], plain["shape"], plain["at"], plain["task_id"]) == ("comment", None, None, None)


def test_an_operator_answers_and_the_reviewer_reads_it(service):
    """The operator sees names; the reviewer sees their own, and of others only the role."""
    _, service.tokens["olga"] = service.services.tokens.create("olga", Role.OPERATOR, "shapes")
    service.predict(picture())
    digest = one(service, "ada")["item_digest"]
    comment = written(service, digest, "ada", kind="question")
    replied = service.call("POST", f"/v1/comments/{comment['id']}/replies", "olga", json={"text": "rule 3"}).json()
    assert [(r["author"], r["text"]) for r in replied["replies"]] == [("olga", "rule 3")]
    service.call("POST", f"/v1/comments/{comment['id']}/replies", "ada", json={"text": "thanks"})
    assert service.call("POST", f"/v1/comments/{comment['id']}/resolve", "olga").json()["resolved_by"] == "olga"
    (seen,) = read(service, digest, "ada")
    assert [reply["author"] for reply in seen["replies"]] == ["operator", "ada"]
    assert seen["resolved_by"] == "operator"
    (seen,) = read(service, digest, "operator")
    assert [seen["author"], *(reply["author"] for reply in seen["replies"])] == ["ada", "olga", "ada"]


def test_what_others_say_of_an_item_is_not_told(service):
    """Two people have tasks of one item: neither reads the other's comment, resolves or answers it, nor learns that it
    is there; also after their answers."""
    policy(service, people={"annotate": 2, "audit": 2})
    service.predict(picture())
    mine, theirs = one(service, "ada"), one(service, "bob")
    digest = mine["item_digest"]
    comment = written(service, digest, "ada", task_id=mine["id"])
    assert read(service, digest, "bob") == []
    for action, body in (("replies", {"text": "no"}), ("resolve", None), ("reopen", None)):
        refused = service.call("POST", f"/v1/comments/{comment['id']}/{action}", "bob", json=body)
        absent = service.call("POST", f"/v1/comments/nothing/{action}", "bob", json=body)
        assert problem(refused, 404, "not-found").keys() == problem(absent, 404, "not-found").keys()
        assert refused.json()["detail"] == absent.json()["detail"].replace("nothing", comment["id"])
    submit(service, theirs, [BOX], "bob")
    assert read(service, digest, "bob") == []


def test_a_comment_reaches_whose_task_it_names(service):
    """An operator addresses who did the task; nobody else reads it."""
    policy(service, people={"annotate": 2, "audit": 2})
    service.predict(picture())
    mine, _theirs = one(service, "ada"), one(service, "bob")
    submit(service, mine, [BOX], "ada")
    digest = mine["item_digest"]
    written(service, digest, "operator", task_id=mine["id"], text="tighter, please")
    written(service, digest, "operator", text="a note among operators")
    assert [(c["text"], c["author"]) for c in read(service, digest, "ada")] == [("tighter, please", "operator")]
    assert read(service, digest, "bob") == []
    assert len(read(service, digest, "operator")) == 2


def test_who_decides_between_answers_reads_what_was_said(service):
    """An adjudicator sees the answers, and so their authors' comments, without names."""
    policy(service, people={"annotate": 2, "audit": 2})
    service.predict(picture())
    mine, theirs = one(service, "ada"), one(service, "bob")
    written(service, mine["item_digest"], "ada")
    submit(service, mine, [BOX], "ada")
    submit(service, theirs, [], "bob")
    digest = one(service, "cyd")["item_digest"]
    assert [comment["author"] for comment in read(service, digest, "cyd")] == ["reviewer"]


def test_only_who_has_had_the_task_takes_part(service):
    """A reviewer without a task of the item is refused alike for every item; a skip and an answer count as having had
    it; producers may not."""
    service.predict(picture())
    task = one(service, "ada")
    digest = task["item_digest"]
    problem(write(service, digest, "bob"), 403, "forbidden")
    problem(service.call("GET", f"/v1/projects/shapes/items/{digest}/comments", "bob"), 403, "forbidden")
    problem(service.call("GET", f"/v1/projects/shapes/items/{digest}/comments", "producer"), 403, "forbidden")
    service.call("POST", f"/v1/tasks/{task['id']}/skip", "ada", json={"epoch": task["epoch"], "reason": "dark"})
    assert written(service, digest, "ada")
    problem(write(service, "0" * 64, "ada"), 404, "not-found")


@pytest.mark.parametrize(
    "body",
    [
        {"text": ""},
        {"text": "   "},
        {"text": "x" * 4001},
        {"text": "a\x00b"},
        {"kind": "praise"},
        {"at": [1]},
        {"at": [1, 2, 3]},
        {"at": [-1, 2]},
        {"at": [65, 2]},
        {"shape": "s" * 201},
        {"colour": "red"},
    ],
)
def test_what_cannot_be_a_comment_is_refused(service, body):
    """422, with what to do; nothing is kept."""
    service.predict(picture())
    digest = one(service, "ada")["item_digest"]
    assert write(service, digest, "ada", **body).status_code == 422
    assert read(service, digest, "ada") == []


def test_a_task_that_is_not_mine_cannot_be_named(service):
    """Nor one of another item, by an operator."""
    service.predict(picture(0))
    service.predict(picture(1))
    mine, theirs = one(service, "ada"), one(service, "bob")
    problem(write(service, mine["item_digest"], "ada", task_id=theirs["id"]), 403, "forbidden")
    problem(write(service, mine["item_digest"], "operator", task_id=theirs["id"]), 422, "invalid")


def test_resolving_and_reopening_are_kept_and_told_once(service):
    """By whom and when; what is resolved stays so, and the history has one line for it."""
    service.predict(picture())
    digest = one(service, "ada")["item_digest"]
    comment = written(service, digest, "ada")
    path = f"/v1/comments/{comment['id']}"
    done = service.call("POST", f"{path}/resolve").json()
    assert (done["state"], done["resolved_by"]) == ("resolved", "operator")
    assert service.call("POST", f"{path}/resolve", "ada").json()["resolved_at"] == done["resolved_at"]
    assert len(events(service, "comment.resolved")) == 1
    again = service.call("POST", f"{path}/reopen", "ada").json()
    assert (again["state"], again["resolved_at"], again["resolved_by"]) == ("open", None, None)
    assert len(events(service, "comment.created")) == len(events(service, "comment.reopened")) == 1


def test_operators_page_through_all_comments(service):
    """Newest first, by state and kind; not for reviewers."""
    service.predict(picture())
    digest = one(service, "ada")["item_digest"]
    made = [written(service, digest, "ada", kind=kind)["id"] for kind in ("question", "issue", "question", "question")]
    service.call("POST", f"/v1/comments/{made[2]}/resolve")
    path = "/v1/projects/shapes/comments?state=open&kind=question&limit=1"
    first = service.call("GET", path).json()
    second = service.call("GET", f"{path}&after={first['next']}").json()
    third = service.call("GET", f"{path}&after={second['next']}").json()
    assert [c["id"] for page in (first, second, third) for c in page["comments"]] == [made[3], made[0]]
    assert third["next"] is None
    problem(service.call("GET", "/v1/projects/shapes/comments", "ada"), 403, "forbidden")
    problem(service.call("GET", "/v1/projects/shapes/comments?after=x"), 422, "invalid")
    everything = service.call("GET", "/v1/projects/shapes/comments").json()["comments"]
    assert [c["id"] for c in everything] == made[::-1]


def test_one_person_says_so_much_on_an_item(service):
    """The limit is each person's own: one on all would tell that others wrote."""
    service.predict(picture())
    digest = one(service, "ada")["item_digest"]
    for _ in range(MOST_OF_ONE):
        written(service, digest, "ada")
    problem(write(service, digest, "ada"), 409, "conflict")
    assert written(service, digest, "operator")


def test_a_token_of_another_project_sees_nothing(service):
    """Not even that the comment is there."""
    service.predict(picture())
    comment = written(service, one(service, "ada")["item_digest"], "ada")
    service.services.projects.create("other", ("a",))
    made = service.call("POST", "/v1/tokens", json={"name": "o", "role": "operator", "project_id": "other"}).json()
    service.tokens["other"] = made["secret"]
    for action, body in (("replies", {"text": "x"}), ("resolve", None)):
        problem(service.call("POST", f"/v1/comments/{comment['id']}/{action}", "other", json=body), 404, "not-found")
    problem(service.call("POST", f"/v1/comments/{comment['id']}/resolve", "producer"), 403, "forbidden")
