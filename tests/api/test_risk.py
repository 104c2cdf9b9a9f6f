"""Risk learned from reviews: when it is learned, that routing uses it, and what is told of it."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from loop.domain.ports import Event
from loop.routing.risks import REFIT_AFTER, Learned, Risks
from selection.risk import heuristic_risk
from selection.scores import Signals
from tests.api.conftest import Service, picture
from tests.api.test_predictions import problem

RISK = "/v1/projects/shapes/risk"


def review(service: Service, count: int, *, first: int = 0, failing: int = 2) -> None:
    """So many predictions, each answered; every `failing`-th is corrected."""
    for seed in range(first, first + count):
        assert service.predict(picture(seed)).is_success
        answer_all(service, corrected=seed % failing == 0)


def answer_all(service: Service, *, corrected: bool) -> None:
    lease = "/v1/projects/shapes/tasks/lease"
    while tasks := service.call("POST", lease, "reviewer", json={"count": 10}).json()["tasks"]:
        for task in tasks:
            shapes = [{"label": d["label"], "box": d["box"]} for d in task["detections"]]
            if corrected:
                shapes.append({"label": "bar", "box": [1, 1, 9, 9]})
            answer = {"epoch": task["epoch"], "shapes": shapes}
            assert service.call("POST", f"/v1/tasks/{task['id']}/submit", "reviewer", json=answer).is_success


def champion(service: Service):
    with service.services.store.read() as tx:
        return tx.models.all("shapes")[0]


def test_it_is_learned_once_there_are_fifty_reviews(service: Service) -> None:
    """Before that the status says what is missing; after it, predictions are routed by what was learned."""
    risks = service.services.risks
    review(service, 49)
    assert risks.refit_due() == []
    before = service.call("GET", RISK).json()
    assert before["learned"] is None and before["reviewed"] == 49
    assert (before["in_use"], before["learned_at"]) == ("heuristic", None)
    assert before["why"].startswith("49 reviews, of which 25 were corrected; it takes 50 with 10 of each")
    review(service, 1, first=49)
    assert risks.refit_due() == [champion(service).id]
    after = service.call("GET", RISK).json()
    assert after["learned"]["fitted_on"] == after["reviewed"] == 50 and after["why"] == ""
    assert after["learned"]["quality"]["failures"] == 25
    assert after["in_use"] == "learned"
    assert abs(datetime.fromisoformat(after["learned_at"]) - service.services.clock()) < timedelta(minutes=5)
    answer = service.predict(picture(1000)).json()
    learned = Learned.from_bytes(service.services.blobs.get(champion(service).risk_key))
    assert answer["decision"]["risk"] == pytest.approx(learned.risk.of(answer["signals"]))
    assert after["learned"]["quality"]["failure_rate"] == pytest.approx(0.5, abs=0.05)


def test_it_is_learned_again_after_a_hundred_more(service: Service) -> None:
    risks = service.services.risks
    review(service, 50)
    assert risks.refit_due() and not risks.refit_due()
    first = champion(service).risk_key
    review(service, REFIT_AFTER - 1, first=50)
    assert risks.refit_due() == []
    review(service, 1, first=50 + REFIT_AFTER)
    assert risks.refit_due()
    assert champion(service).risk_key != first
    with service.services.store.read() as tx:
        fitted: list[Event] = [event for event in tx.events.after("shapes", 0, 1000) if event.kind == "risk.fitted"]
    assert [event.body["reviews"] for event in fitted] == [50, 150]


def test_reviews_without_a_failure_teach_nothing_yet(service: Service) -> None:
    review(service, 60, failing=1000)
    assert service.services.risks.refit_due() == []
    assert "of which 1 were corrected" in service.call("GET", RISK).json()["why"]


def test_what_was_selected_does_not_count(service: Service) -> None:
    """How probable it was to be selected is not known, so it cannot be weighted."""
    policy = {"threshold": 1.0, "audit_rate": 0.0}
    assert service.call("PATCH", "/v1/projects/shapes/policy", json=policy).is_success
    for seed in range(3):
        service.predict(picture(seed))
    assert service.call("POST", "/v1/projects/shapes/selections", json={"budget": 3}).json()["picked"] == 3
    answer_all(service, corrected=True)
    assert service.call("GET", RISK).json()["reviewed"] == 0


def test_a_risk_that_cannot_be_read_does_not_keep_predictions_from_being_made(service: Service) -> None:
    """The heuristic speaks, as before anything was learned."""
    model = champion(service)
    service.services.blobs.put(b"{}")
    with service.services.store.begin() as tx:
        tx.models.judge("shapes", model.id, "0" * 64)
    assert service.predict(picture(5)).is_success
    root = Path(service.services.settings.blobs_url)
    assert not list(root.rglob("0" * 64))


def test_only_operators_see_it(service: Service) -> None:
    for role in ("producer", "reviewer"):
        problem(service.call("GET", RISK, role), 403, "forbidden")
    assert service.call("POST", "/v1/projects", json={"id": "bare", "labels": ["a"]}).is_success
    problem(service.call("GET", "/v1/projects/bare/risk"), 409, "no-champion")


def test_audits_speak_for_all_predictions_with_equal_weight(service: Service) -> None:
    """One that is risky, too, has the inclusion probability 1 among all reviews; among audits it is one of many."""
    assert service.call("PATCH", "/v1/projects/shapes/policy", json={"audit_rate": 1.0}).is_success
    review(service, 60, failing=3)
    with service.services.store.begin() as tx:
        reviewed = tx.submissions.reviewed("shapes", champion(service).id)
    assert all(one.audit and one.probability == 1.0 for one in reviewed)
    assert service.services.risks.refit_due()
    audits = service.call("GET", RISK).json()["learned"]["audits"]
    assert (audits["reviews"], audits["failures"]) == (60, 20)
    assert audits["failure_rate"] == pytest.approx(1 / 3)


def test_the_rule_speaks_where_nothing_is_to_be_learned(service: Service) -> None:
    """Also for a version of which something was learned before the setting was changed."""
    review(service, 50)
    assert service.services.risks.refit_due()
    services = service.services
    rule = Risks(services.store, services.blobs, services.clock, learn=False)
    measured = Signals(**service.predict(picture(77)).json()["signals"])
    assert rule.of(champion(service), measured) == heuristic_risk(measured)
    assert services.risks.of(champion(service), measured) != heuristic_risk(measured)
    assert rule.refit_due() == []


@pytest.mark.parametrize("content", [b"{}", b"no JSON", b'{"risk": {}, "fitted_on": 5}'])
def test_what_another_version_of_the_program_wrote_is_passed_over(service: Service, content: bytes) -> None:
    key = service.services.blobs.put(content)
    with service.services.store.begin() as tx:
        tx.models.judge("shapes", champion(service).id, key)
    assert service.predict(picture(5)).is_success
    assert service.call("GET", RISK).json()["learned"] is None


def test_reviews_from_before_a_signal_was_measured_still_teach(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is learned from the signals that all reviews have, and used for predictions that have more."""
    with monkeypatch.context() as before:
        old = Signals.as_dict
        before.setattr(Signals, "as_dict", lambda self: {k: v for k, v in old(self).items() if "rarity" not in k})
        review(service, 25)
    review(service, 25, first=25)
    assert service.services.risks.refit_due()
    learned = Learned.from_bytes(service.services.blobs.get(champion(service).risk_key))
    assert learned.risk.names and not any("rarity" in name for name in learned.risk.names)
    answer = service.predict(picture(1000)).json()
    assert "sum_rarity" in answer["signals"]
    assert answer["decision"]["risk"] == pytest.approx(learned.risk.of(answer["signals"]))
