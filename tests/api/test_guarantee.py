"""Promises over HTTP: made, told of, and kept by routing."""

import pytest

from tests.api.conftest import Service, picture
from tests.api.test_risk import answer_all
from tests.test_dispatching import until

POLICY = "/v1/projects/shapes/policy"
GUARANTEE = "/v1/projects/shapes/guarantee"


@pytest.fixture
def service(audited_service: Service) -> Service:
    """Promises need audits."""
    return audited_service


def promise(service: Service, **rules: object):
    return service.call(
        "PATCH", POLICY, json={"guarantee": {"promises": [{"alpha": 0.3}], "evidence_share": 1.0, **rules}}
    )


def test_a_promise_is_made_and_kept(service: Service) -> None:
    """From crawling to what passes; each decision names a record that can be read, with its evidence."""
    assert promise(service).json()["guarantee"]["promises"][0]["alpha"] == 0.3
    assert service.predict(picture(0)).json()["decision"]["reasons"][-1]["code"] == "no-threshold-yet"
    service.services.guarantee.look_due()
    begun = service.call("GET", GUARANTEE).json()
    assert (begun["phase"], begun["fewest"], begun["thresholds"]["answered"]) == ("crawl", [8], 0)
    for seed in range(1, 25):
        service.predict(picture(seed))
    answer_all(service, corrected=False)

    def looked() -> dict:
        service.services.guarantee.look_due()  # which rests for as long as the look before has cost, many times
        return service.call("GET", GUARANTEE).json()

    until(lambda: looked()["thresholds"]["answered"] == 25)
    running = looked()
    record = running["thresholds"]
    assert (running["phase"], record["answered"], record["groups"][0]["group"]) == ("run", 25, "all")
    assert [one["automation"] for one in record["groups"][0]["needed"]] == [0.1, 0.5, 0.9]
    decision = service.predict(picture(99)).json()["decision"]
    assert decision["threshold_version"] == record["version"] and decision["threshold"] > 0.0
    page = service.call("GET", f"{GUARANTEE}/thresholds?limit=1").json()
    assert page["thresholds"][0]["version"] == page["next"] == record["version"]
    rest = service.call("GET", f"{GUARANTEE}/thresholds?before={page['next']}").json()
    assert [one["version"] for one in rest["thresholds"]] == list(range(record["version"] - 1, 0, -1))
    detail = service.call("GET", f"{GUARANTEE}/thresholds/{record['version']}").json()
    assert len(detail["evidence"]) == 25 and detail["promises"][0]["alpha"] == 0.3
    curve = service.call("GET", f"{GUARANTEE}/curve").json()
    assert 0.0 < curve["present"] <= 1.0 and curve["points"][-1]["automation"] > 0.9
    assert all(point["kept"] == (point["bound"] <= 0.3) for point in curve["points"])


@pytest.mark.parametrize(
    ("guarantee", "says"),
    [
        ({"promises": [{"alpha": 0}]}, "alpha is 0"),
        ({"promises": [{"alpha": 1}]}, "alpha is 1"),
        ({"promises": [{"delta": 7}]}, "delta is 7"),
        ({"promises": [{"alpha": 1e-320}]}, "alpha is"),
        ({"promises": [{"delta": 1e-10}]}, "delta is 1e-10"),
        ({"promises": [{"classes": ["dragon"]}]}, "no label 'dragon'"),
        ({"promises": [{"loss": "everything"}]}, ""),
        ({"promises": [{"aplha": 0.1}]}, ""),
        ({"window_audits": 1}, "rules of a guarantee"),
        ({"costs": {"missed": -1}}, "costs.missed"),
    ],
)
def test_what_cannot_be_promised_is_refused(service: Service, guarantee: dict[str, object], says: str) -> None:
    """With what to do instead; the policy stays as it was."""
    answer = service.call("PATCH", POLICY, json={"guarantee": guarantee})
    assert 400 <= answer.status_code < 500 and answer.json()["hint"]
    assert says in answer.json()["detail"]
    assert service.call("GET", "/v1/projects/shapes").json()["policy"]["guarantee"]["promises"] == []


def test_without_audits_nothing_can_be_promised(service: Service) -> None:
    """Neither now nor by taking them away later."""
    promise(service)
    answer = service.call("PATCH", POLICY, json={"audit_rate": 0})
    assert 400 <= answer.status_code < 500
    assert "without audits" in answer.json()["detail"]


def test_it_is_for_operators(service: Service) -> None:
    """Reviewers would learn how audits are drawn."""
    promise(service)
    for path in ("", "/thresholds", "/thresholds/1", "/curve"):
        for role in ("reviewer", "producer"):
            assert service.call("GET", GUARANTEE + path, role).status_code == 403
    assert service.call("POST", f"{GUARANTEE}/accept", "reviewer", json={"reason": "x"}).status_code == 403
    body = {"guarantee": {}}
    assert service.call("POST", f"{GUARANTEE}/preview", "reviewer", json=body).status_code == 403


def test_what_there_is_not_is_told(service: Service) -> None:
    nothing = service.call("GET", GUARANTEE)
    assert "promises nothing" in nothing.json()["detail"] and nothing.json()["hint"]
    promise(service)
    assert service.call("GET", f"{GUARANTEE}/thresholds/9").status_code == 404
    assert "no promise 2" in service.call("GET", f"{GUARANTEE}/curve?promise=2").json()["detail"]
    assert service.call("GET", f"{GUARANTEE}/curve?group=none").status_code < 500
    assert service.call("POST", f"{GUARANTEE}/accept", json={"reason": "x"}).status_code == 409


def preview(service: Service, **body: object):
    return service.call("POST", f"{GUARANTEE}/preview", json={"guarantee": {"promises": [{"alpha": 0.3}]}} | body)


def test_what_a_promise_would_come_to_is_told_before_it_is_made(service: Service) -> None:
    """By the answers of now, as it then comes to; nothing is changed by asking."""
    rules = {"promises": [{"alpha": 0.3}, {"alpha": 0.2, "by": "source", "loss": "missed"}], "evidence_share": 1.0}
    service.call("PATCH", POLICY, json={"threshold": 0.0})
    for seed in range(25):
        service.predict(picture(seed))
    answer_all(service, corrected=False)
    asked = preview(service, guarantee=rules).json()
    assert service.call("GET", "/v1/projects/shapes").json()["policy"]["guarantee"]["promises"] == []
    assert (asked["size"], asked["answered"], asked["anew"], asked["learned_from"]) == (25, 25, False, False)
    promise(service, promises=rules["promises"])
    service.services.guarantee.look_due()
    made = service.call("GET", GUARANTEE).json()
    assert asked["groups"] == made["thresholds"]["groups"] and len(asked["groups"]) == 2
    assert asked["fewest"] == made["fewest"] and asked["promises"] == made["rules"]["promises"]
    assert asked["automation"] == made["thresholds"]["automation"] > 0.0
    assert asked["review_share"] == made["thresholds"]["review_share"]


def test_a_preview_with_the_first_audits_counts_no_answer_of_before(service: Service) -> None:
    """As the promise itself would not, since some of those before had no chance to be audited."""
    service.call("PATCH", POLICY, json={"threshold": 0.0})
    for seed in range(10):
        service.predict(picture(seed))
    answer_all(service, corrected=False)
    assert preview(service).json()["answered"] > 0
    asked = preview(service, audit_rate=0.5).json()
    assert asked["anew"] and asked["answered"] == asked["size"] == asked["automation"] == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"guarantee": {"promises": [{"alpha": 0}]}}, "alpha"),
        ({"guarantee": {"promises": [{"delta": 1}]}}, "delta"),
        ({"guarantee": {"promises": [{"classes": ["dragon"]}]}}, "classes"),
        ({"guarantee": {"promises": [{"missed_weight": 2}]}}, "missed_weight"),
        ({"guarantee": {"promises": [{}, {}]}}, "promises"),
        ({"audit_rate": 0}, "audit_rate"),
    ],
)
def test_a_preview_is_refused_as_the_change_would_be(service: Service, body: dict[str, object], field: str) -> None:
    """With the field that is wrong."""
    asked = preview(service, **body)
    changed = service.call("PATCH", POLICY, json={"guarantee": {"promises": [{"alpha": 0.3}]}} | body)
    assert asked.status_code == changed.status_code == 422
    assert asked.json() == changed.json() and asked.json()["ids"]["field"] == field
