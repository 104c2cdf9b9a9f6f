"""Canaries that people judge, over HTTP and from the command line."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from askance.client import Client
from loop.domain.errors import AskanceError
from loop.domain.rollouts.canary import Arm, CanaryStanding, CanaryVerdict
from loop.wiring import utc_now
from tests.api.conftest import picture
from tests.api.test_models_and_cycles import add
from tests.api.test_predictions import problem
from tests.api.test_production import policy
from tests.api.test_review import leased, submit
from tests.api.test_rollouts import OTHER, ROLLOUTS, askance, settle_rollouts, start, url  # noqa: F401

STANDING = CanaryStanding(
    verdict=CanaryVerdict.GOING_ON, looked_at=utc_now(), until=utc_now(), canary=Arm(40, 4, 0.1),
    champion=Arm(400, 40, 0.1), predictions=9000, waiting=3, unanswered=2, low=-0.08, high=0.12,
    needed=260, passed_at=None,
    words="so far, so good",
)  # fmt: skip


def stands(service, rollout_id: str, **changes) -> None:
    with service.services.store.begin() as tx:
        tx.rollouts.stands(rollout_id, replace(STANDING, **changes))


def test_a_canary_is_judged_by_the_settings_and_by_what_is_asked(service):
    """Rules of the settings, those of the request in their place; none where it is not to be judged, or cannot be."""
    model_id = add(service, OTHER).json()["id"]
    settings = service.services.settings.canary
    cases = [
        ({}, settings.margin),
        ({"judging": {"margin": 0.2, "on_pass": "promote"}}, 0.2),
        ({"judging": False}, None),
        ({"share": 1.0}, None),
        ({"kind": "shadow"}, None),
    ]
    for body, margin in cases:
        rollout = start(service, model_id, **body).json()
        assert (rollout["judging"] and rollout["judging"]["margin"]) == margin, body
        assert (rollout["standing"], rollout["active_at"], rollout["cycle_id"]) == (None, None, None)
        service.call("POST", f"{ROLLOUTS}/{rollout['id']}/end", json={})
    for wrong in ({"judging": {"margin": 0}}, {"judging": {"margins": 0.1}}, {"judging": True}):
        problem(start(service, model_id, **wrong), 422, "invalid")
    problem(start(service, model_id, share=1.0, judging={"margin": 0.1}), 422, "invalid")
    problem(start(service, model_id, kind="shadow", judging={"margin": 0.1}), 422, "invalid")


def test_what_people_answer_is_told_of_a_canary(service):
    """From real predictions by both models, after a look of the service."""
    policy(service, threshold=1.0, audit_rate=1.0, score_threshold=0.5)
    rollout_id = start(service, add(service, OTHER).json()["id"], share=0.5).json()["id"]
    settle_rollouts(service)
    made = [service.predict(picture(seed)).json() for seed in range(12)]
    shown = {one["task_id"]: one for one in made}
    for task in leased(service, 12):
        found = shown[task["id"]]["detections"]
        answer = [{"type": "box", "label": one["label"], "box": one["box"]} for one in found]
        assert submit(service, task, answer).status_code == 200
    service.services.canaries.look()
    rollout = service.call("GET", f"{ROLLOUTS}/{rollout_id}", "producer").json()
    standing = rollout["standing"]
    assert rollout["active_at"] is not None
    by_canary = sum(one["model_id"] == rollout["model_id"] for one in made)
    assert 0 < by_canary < 12
    assert (standing["canary"]["answers"], standing["champion"]["answers"]) == (by_canary, 12 - by_canary)
    assert (standing["canary"]["failed"], standing["champion"]["failed"]) == (0, 0)
    assert (standing["verdict"], standing["predictions"], standing["waiting"]) == ("going_on", 12, 0)
    assert standing["low"] < 0 < standing["high"]
    assert standing["needed"] > 10
    problem(service.call("GET", f"{ROLLOUTS}/rollout_none"), 404, "not-found")


def test_how_it_stands_from_the_command_line(service, askance):  # noqa: F811
    """The sentence, how many predictions it is of, and what is missing; the same as JSON; and that there is none."""
    with pytest.raises(AskanceError, match="has had no canary"):
        askance("models", "standing")
    model_id = add(service, OTHER).json()["id"]
    with pytest.raises(AskanceError, match="not judged"):
        askance("models", "canary", model_id, "--share", "0.1", "--unjudged", "--margin", "0.2")
    askance("models", "canary", model_id, "--share", "0.1", "--margin", "0.2", "--hours", "5", "--promote")
    assert "nobody has looked" in askance("models", "standing")
    (rollout,) = service.call("GET", ROLLOUTS).json()["rollouts"]
    assert (rollout["judging"]["margin"], rollout["judging"]["on_pass"]) == (0.2, "promote")
    stands(service, rollout["id"])
    told = askance("models", "standing")
    assert "going on: so far, so good" in told
    assert "about 260 more answers" in told and "undecided (roll back) after 5 h" in told
    assert "3 wait for people; 2 are without an answer" in told
    assert "so far, so good" in askance("models", "status")
    assert json.loads(askance("models", "standing", "--json"))["standing"]["needed"] == 260
    stands(service, rollout["id"], verdict=CanaryVerdict.NOT_WORSE, passed_at=utc_now())
    assert "promoted by itself" in askance("models", "standing")
    askance("models", "end", "canary")
    ended = askance("models", "standing")
    assert "is ended: ended by hand" in ended and "promoted by itself" not in ended
    askance("models", "canary", model_id, "--share", "0.1", "--unjudged")
    assert "do not judge it" in askance("models", "standing")


def test_the_client_starts_and_reads_a_judged_canary(service, url):  # noqa: F811
    """With its own rules; how it stands comes typed."""
    model_id = add(service, OTHER).json()["id"]
    with Client(url, service.tokens["operator"]) as client:
        asked = client.start_rollout("shapes", model_id, kind="canary", share=0.5, judging={"max_hours": 2})
        stands(service, asked.id)
        found = client.rollout("shapes", asked.id)
    assert (found.judging.max_hours, found.standing.needed) == (2, 260)
    assert found.standing.looked_at - STANDING.looked_at < timedelta(seconds=1)


def test_a_cycle_says_whether_its_winner_is_a_canary_first(service):
    """In its recipe; the settings hold where it does not."""
    for given in (None, True, False):
        body = {} if given is None else {"canary": given}
        cycle = service.call("POST", "/v1/projects/shapes/cycles", json=body).json()
        assert cycle["recipe"]["canary"] is (given or False)
        service.call("POST", f"/v1/projects/shapes/cycles/{cycle['id']}/cancel", json={})
