"""Asking people for items that an operator names or finds by a query, over HTTP."""

import pytest

from serving.client import ApiError
from tests.api.conftest import Service, client_within, picture
from tests.api.test_review import BOX, leased, submit

PATH = "/v1/projects/shapes/items/ask"
REASON = "the bars look odd"


def kept(service: Service, *seeds: int) -> list[str]:
    """Digests of images that no model has looked at, nor anybody else."""
    path = "/v1/projects/shapes/items"
    return [service.call("POST", path, content=picture(seed)).json()["digest"] for seed in seeds]


def ask(service: Service, **body: object) -> dict:
    answer = service.call("POST", PATH, json={"reason": REASON} | body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_items_that_nobody_looked_at_become_tasks_with_the_reason(service: Service) -> None:
    """Named twice, once; asked for again while people have them to do, not at all, and it is told why."""
    one, other = kept(service, 1, 2)
    assert ask(service, items=[one, other, one]) == {"items": [one, other], "left": [], "next": None}
    again = ask(service, items=[one])
    why = "people are asked for it already."
    assert again == {"items": [], "left": [{"item_digest": one, "why": why}], "next": None}
    tasks = leased(service, 5)
    assert {task["item_digest"]: task["reason"] for task in tasks} == {one: REASON, other: REASON}
    assert ask(service, items=[one])["items"] == []  # somebody holds it


def test_what_people_answered_is_asked_for_again_and_stays_until_then(service: Service) -> None:
    service.predict(picture(1))
    (task,) = leased(service)
    assert submit(service, task, [BOX]).status_code == 200
    digest = task["item_digest"]
    assert ask(service, items=[digest])["items"] == [digest]
    assert service.call("GET", f"/v1/projects/shapes/items/{digest}").json()["truth"]["version"] == 1
    (again,) = leased(service)
    assert (again["item_digest"], again["epoch"] > task["epoch"]) == (digest, True)


def test_the_history_tells_who_asked_and_why(service: Service) -> None:
    (digest,) = kept(service, 1)
    ask(service, items=[digest])
    entries = service.call("GET", f"/v1/projects/shapes/items/{digest}/history").json()["entries"]
    asked = next(one for one in entries if one["body"].get("event") == "item.asked")
    assert (asked["actor"], asked["body"]["reason"], asked["body"]["again"]) == ("operator", REASON, False)


def test_a_query_is_asked_for_in_calls_that_follow_each_other(service: Service) -> None:
    """Newest first, each item once, although those that were asked for meet it no more."""
    digests = kept(service, *range(5))
    body = {"query": "missing work", "limit": 2}
    first = ask(service, **body)
    second = ask(service, **body, after=first["next"])
    last = ask(service, **body, after=second["next"])
    assert [len(one["items"]) for one in (first, second, last)] == [2, 2, 1]
    assert last["next"] is None
    assert sorted(first["items"] + second["items"] + last["items"]) == sorted(digests)


def test_images_that_are_gone_are_left_and_told(service: Service) -> None:
    gone, dropped, kept_one = kept(service, 1, 2, 3)
    service.services.blobs.remove(gone)
    dropping = service.call("DELETE", f"/v1/projects/shapes/items/{dropped}", params={"reason": "a face"})
    assert dropping.status_code == 204
    found = ask(service, items=[gone, dropped, kept_one])
    assert found["items"] == [kept_one]
    assert {one["item_digest"] for one in found["left"]} == {gone, dropped}
    assert all(one["why"] for one in found["left"])


def test_where_one_is_not_there_nobody_is_asked(service: Service) -> None:
    (digest,) = kept(service, 1)
    assert service.call("POST", PATH, json={"reason": REASON, "items": [digest, "0" * 64]}).status_code == 404
    assert leased(service, 5) == []


@pytest.mark.parametrize(
    "body",
    [
        {"reason": REASON},
        {"reason": REASON, "items": [], "query": ""},
        {"items": ["a"]},
        {"reason": "", "items": ["a"]},
        {"reason": REASON, "items": ["a"] * 1001},
        {"reason": REASON, "query": "", "limit": 1001},
        {"reason": REASON, "query": "sorce = a"},
    ],
)
def test_what_cannot_be_asked_is_refused(service: Service, body: dict) -> None:
    assert service.call("POST", PATH, json=body).status_code == 422


@pytest.mark.parametrize("role", ["reviewer", "producer"])
def test_only_operators_may(service: Service, role: str) -> None:
    assert service.call("POST", PATH, role, json={"reason": REASON, "items": ["x"]}).status_code == 403


def test_the_client_goes_on_until_all_are_asked_for(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a query and of many digests; or until it looked at `most`."""
    monkeypatch.setattr("serving.client.items._AT_ONCE", 2)
    digests = kept(service, *range(7))
    with client_within(service) as client:
        some = client.ask_for("shapes", REASON, query="", most=3)
        assert (len(some.items), some.next is None) == (3, False)
        rest = client.ask_for("shapes", REASON, query="")
        assert (len(rest.items), len(rest.left), rest.next) == (4, 3, None)
        assert sorted(some.items + rest.items) == sorted(digests)
        assert len(client.ask_for("shapes", REASON, items=digests).left) == 7
        with pytest.raises(ApiError):
            client.ask_for("shapes", REASON, query="sorce = a")


def test_what_several_people_answered_is_asked_for_again_once_all_have(service: Service) -> None:
    """While one of them still has it to do, it is left; an adjudication that nobody needs any more keeps none back."""
    rules = {"queue": {"people": {"annotate": 2}, "people_share": 1.0}}
    assert service.call("PATCH", "/v1/projects/shapes/policy", json=rules).status_code == 200
    service.predict(picture(1))
    (first,) = leased(service)
    assert submit(service, first, [BOX]).status_code == 200
    digest = first["item_digest"]
    assert ask(service, items=[digest])["items"] == []
    other = service.call("POST", "/v1/projects/shapes/tasks/lease", "operator", json={"count": 1}).json()["tasks"][0]
    assert submit(service, other, [BOX], "operator").status_code == 200
    assert ask(service, items=[digest])["items"] == [digest]
