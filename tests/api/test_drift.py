"""Drift over HTTP: who may look, what is answered before there is anything to say, and what is found."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from loop.domain.item import Item
from loop.domain.prediction import Detection, Prediction
from loop.domain.routing import route
from loop.store.predictions import SqlPredictions
from tests.api.conftest import LABELS, Service, picture
from tests.api.test_predictions import problem

DRIFT = "/v1/projects/shapes/drift"


@pytest.fixture
def fill(service: Service) -> Iterator["Fill"]:
    yield Fill(service)


class Fill:
    """Predictions of the champion, written as routing writes them; embeddings like that of a picture it has seen."""

    def __init__(self, service: Service) -> None:
        self.store = service.services.store
        self.clock = service.services.clock
        self.rng = np.random.default_rng(4)
        assert service.predict(picture()).is_success
        with self.store.read() as tx:
            self.project = tx.projects.get("shapes")
            (self.like,) = tx.predictions.page("shapes", after=None, limit=1)
        self.made = 0

    def __call__(self, count: int, *, lies: float = 0.0) -> list[str]:
        rows = [self._one(lies) for _ in range(count)]
        with self.store.begin() as tx:
            tx.items.add_all([item for item, _ in rows])
            tx.predictions.add_all([prediction for _, prediction in rows])
        return [item.digest for item, _ in rows]

    def _one(self, lies: float) -> tuple[Item, Prediction]:
        self.made += 1
        now = self.clock()
        embedding = self.like.embedding + 0.1 * self.rng.normal(size=self.like.embedding.shape)
        embedding[0] += 0.1 * lies
        item = Item(
            project_id="shapes", digest=f"{self.made:064x}", media_type="image/png", width=64, height=64,
            created_at=now, source=f"camera {self.made % 2}",
        )  # fmt: skip
        prediction = replace(
            self.like,
            id=f"pred_{self.made:08}",
            item_digest=item.digest,
            detections=(Detection(LABELS[int(self.rng.integers(3))], float(self.rng.uniform(0.3, 0.9)), (1, 1, 9, 9)),),
            embedding=(embedding / np.linalg.norm(embedding)).astype(np.float32),
            decision=route(risk=0.1, policy=self.project.policy, audit_drawn=False),
            created_at=now,
        )
        return item, prediction


def test_before_there_are_predictions_it_says_what_is_missing(service: Service) -> None:
    body = service.call("GET", DRIFT).json()
    assert (body["reports"], body["next"], body["alarm"]) == ([], None, False)
    assert body["waiting"].startswith("0 of the 300 predictions")
    answer = service.call("POST", DRIFT)
    problem(answer, 409, "too-few-images")
    assert "0 of the 300 predictions" in answer.json()["detail"] and "evaluation" in answer.json()["hint"]
    problem(service.call("POST", f"{DRIFT}/reference"), 409, "too-few-images")


def test_drift_is_found_and_told(service: Service, fill: Fill) -> None:
    """By the schedule of the settings, and by hand; reports are found again, newest first."""
    fill(299)
    watch = service.services.drift
    assert watch.look_due() == []
    assert service.call("GET", DRIFT).json()["waiting"] == "0 of the 200 predictions of the next window have been made."
    fill(100)
    unlike = fill(100, lies=12.0)
    (scheduled,) = watch.look_due()
    body = service.call("POST", DRIFT)
    assert body.status_code == 201
    report = body.json()
    assert (report["verdict"], report["scheduled"], report["alarm"], report["actor"]) == (
        "drift", False, False, "operator",
    )  # fmt: skip
    assert [test["name"] for test in report["tests"]] == ["embeddings", "scores", "classes"]
    assert report["tests"][0]["adjusted_p"] <= 0.05 and report["tests"][0]["low"] > 0.5
    assert set(report["unlike"]) <= set(unlike)
    assert {one["source"] for one in report["sources"]} == {"camera 0", "camera 1"}
    assert sum(one["after"] for one in report["classes"]) == pytest.approx(1.0)
    page = service.call("GET", f"{DRIFT}?limit=1", "reviewer").json()
    assert page["reports"] == [report | {"unlike": []}]  # no item that a reviewer would know for one of now
    assert service.call("GET", f"{DRIFT}?limit=1", "producer").json()["reports"] == [report]
    rest = service.call("GET", f"{DRIFT}?after={page['next']}", "reviewer").json()
    assert [one["id"] for one in rest["reports"]] == [scheduled.id]
    assert "the next window is looked at from" in page["waiting"] or "0 of the 200" in page["waiting"]


def test_what_is_unlike_can_be_selected(service: Service, fill: Fill) -> None:
    fill(300)
    assert service.services.drift.look_due() == []
    fill(40, lies=12.0)
    report = service.call("POST", DRIFT).json()
    assert report["window_images"] == 40
    body = {"budget": 5, "like": report["unlike"][:3], "dry_run": True, "random_share": 0.0}
    answer = service.call("POST", "/v1/projects/shapes/selections", json=body)
    assert "were not kept" in answer.json()["detail"]  # found in the champion's space; these have no image here


def test_drift_can_be_accepted(service: Service, fill: Fill) -> None:
    fill(300)
    service.services.drift.look_due()
    fill(300, lies=12.0)
    assert service.call("POST", DRIFT).json()["verdict"] == "drift"
    assert service.call("POST", f"{DRIFT}/reference").status_code == 201
    fill(200, lies=12.0)
    assert service.call("POST", DRIFT).json()["verdict"] == "same"
    events = service.call("GET", "/v1/projects/shapes/events?limit=1000").json()["events"]
    assert [event["actor"] for event in events if event["kind"] == "drift.accepted"] == ["operator"]


def test_only_operators_ask_for_a_look(service: Service) -> None:
    for role in ("producer", "reviewer"):
        assert service.call("GET", DRIFT, role).is_success
        problem(service.call("POST", DRIFT, role), 403, "forbidden")
        problem(service.call("POST", f"{DRIFT}/reference", role), 403, "forbidden")


def test_what_cannot_be_asked_is_refused(service: Service) -> None:
    problem(service.call("GET", "/v1/projects/nowhere/drift"), 404, "not-found")
    problem(service.call("POST", "/v1/projects/nowhere/drift"), 404, "not-found")
    problem(service.call("GET", f"{DRIFT}?after=drift_none"), 422, "invalid")
    problem(service.call("GET", f"{DRIFT}?limit=0"), 422, "invalid")
    assert service.call("POST", "/v1/projects", json={"id": "bare", "labels": ["a"]}).is_success
    problem(service.call("GET", "/v1/projects/bare/drift"), 409, "no-champion")


def test_a_look_counts_what_was_really_predicted(service: Service) -> None:
    """From the image to the window, through the gateway."""
    for seed in range(3):
        assert service.predict(picture(seed), params={"source": "camera"}).is_success
    with service.services.store.read() as tx:
        model = tx.models.all("shapes")[0]
        found = tx.predictions.served("shapes", model.id, after=0, of=10, limit=10)
        assert isinstance(tx.predictions, SqlPredictions)
    assert len(found) == 3 and {one.source for one in found} == {"camera"}
    assert found[0].embedding.shape == (model.head.embedding_dim,)
