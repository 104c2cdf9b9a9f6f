"""The feed of what people have settled, over HTTP."""

import pytest

from tests.api.conftest import picture
from tests.api.test_lots import lots_of
from tests.api.test_predictions import problem
from tests.api.test_qa import accept, answered, give_back, workflow
from tests.api.test_queue import ELSEWHERE, one, policy, skip, staff  # noqa: F401 - a fixture
from tests.api.test_review import BOX, submit

PATH = "/v1/projects/shapes/reviews"


def reviews(service, after: int = 0, limit: int = 100) -> dict:
    response = service.call("GET", f"{PATH}?after={after}&limit={limit}", "producer")
    assert response.status_code == 200, response.text
    return response.json()


def told(service, after: int = 0) -> list[str]:
    return [review["item_digest"] for review in reviews(service, after)["reviews"]]


def test_a_producer_hears_what_people_said(service):
    """With the prediction that was sent, whether it was wrong and how, and the truth that came of it."""
    made = service.predict(picture()).json()
    assert reviews(service) == {"reviews": [], "next": reviews(service)["next"]}
    (task,) = [one(service, "reviewer")]
    said = submit(service, task, [BOX]).json()
    page = reviews(service)
    assert page["reviews"] == [
        {
            "cursor": page["next"],
            "prediction_id": made["id"],
            "item_digest": made["item_digest"],
            "failed": True,
            "corrections": said["corrections"],
            "truth_version": 1,
            "settled_at": said["created_at"],
        }
    ]
    assert reviews(service, page["next"]) == {"reviews": [], "next": page["next"]}


def test_what_waits_for_others_is_not_told(service, staff):  # noqa: F811
    """Neither one of several answers, nor one in QA, one that QA returned, or a skip; what QA accepts is."""
    workflow(service, qa="all")
    digest = answered(service, "ada")
    assert told(service) == []
    assert give_back(service, one(service, "bob"), "bob", ("look again", [])).status_code == 200
    assert told(service) == []
    submit(service, one(service, "ada"), [ELSEWHERE], "ada")
    assert told(service) == []
    assert accept(service, one(service, "bob"), "bob").status_code == 200
    assert told(service) == [digest]
    service.predict(picture(1))
    skip(service, one(service, "cyd"), "cyd")
    assert told(service) == [digest]


def test_several_people_settle_together(service, staff):  # noqa: F811
    """Told once, with the answer that completed them."""
    policy(service, people={"annotate": 2, "audit": 2})
    digest = answered(service, "ada")
    assert told(service) == []
    submit(service, one(service, "bob"), [BOX], "bob")
    (review,) = reviews(service)["reviews"]
    assert (review["item_digest"], review["truth_version"]) == (digest, 1)


def test_a_lot_tells_all_its_answers_when_it_is_accepted(service, staff):  # noqa: F811
    lots_of(service, 4, share=0.5, threshold=0.25)
    digests = [answered(service, "ada", seed=seed) for seed in range(4)]
    first = one(service, "bob")
    accept(service, first, "bob")
    assert told(service) == [first["item_digest"]]
    accept(service, one(service, "bob"), "bob")
    assert sorted(told(service)) == sorted(digests)
    assert {review["truth_version"] for review in reviews(service)["reviews"]} == {1}


def test_what_is_opened_again_is_told_again(service, staff):  # noqa: F811
    """Behind the cursor of the first time, with the next version of the truth."""
    digest = answered(service, "ada")
    cursor = reviews(service)["next"]
    assert service.call("POST", f"/v1/projects/shapes/items/{digest}/reopen").status_code == 200
    assert told(service, cursor) == []
    submit(service, one(service, "bob"), [ELSEWHERE], "bob")
    (again,) = reviews(service, cursor)["reviews"]
    assert (again["item_digest"], again["truth_version"]) == (digest, 2)
    assert [review["truth_version"] for review in reviews(service)["reviews"]] == [1, 2]


@pytest.mark.parametrize("asked", ["after=-1", "after=9223372036854775808", "after=x", "limit=0", "limit=1001"])
def test_a_cursor_is_a_number_and_a_page_bounded(service, asked):
    problem(service.call("GET", f"{PATH}?{asked}", "producer"), 422, "invalid")


def test_reviews_are_for_producers(service):
    """Reviewers' answers are to be their own; a project that is not there has none."""
    problem(service.call("GET", PATH, "reviewer"), 403, "forbidden")
    problem(service.call("GET", "/v1/projects/none/reviews", "operator"), 404, "not-found")
    assert service.call("GET", f"{PATH}?after={2**63 - 1}", "producer").json()["next"] == 2**63 - 1
