"""Ground truth that models doubt, over HTTP."""

from dataclasses import replace
from datetime import timedelta

import pytest

from loop.domain.identity import digest_of
from loop.domain.item import Item, Split
from loop.domain.model import ModelVersion
from loop.domain.prediction import Detection
from loop.domain.truth import GroundTruth, Shape
from tests.api.conftest import Service, picture
from tests.api.test_review import leased, submit
from tests.contract.records import a_prediction
from training.snapshot import freeze

PATH = "/v1/projects/shapes/label-errors"
BOX = (5.0, 5.0, 25.0, 25.0)


class World:
    """A project whose items a sure detector sees rightly, with their truth as it is given."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.store = service.services.store
        with self.store.read() as tx:
            self.model = tx.projects.get("shapes").champion_id
        self.policy = 1
        self.made = 0

    def item(self, truth: list[Shape], *, label: str = "circle", days: float = 1.0, model: str | None = None) -> str:
        """Its digest. days: after the prediction, that the truth became known; below 0: before."""
        self.made += 1
        now = self.service.services.clock()
        digest = digest_of(str(self.made).encode())
        item = Item(
            project_id="shapes", digest=digest, media_type="image/png", width=64, height=48, created_at=now,
            split=Split.TRAIN,
        )  # fmt: skip
        made = a_prediction(self.made, project_id="shapes", at=now - timedelta(days=days), stage=None)
        prediction = replace(
            made, item_digest=digest, model_id=model or self.model, detections=(Detection(label, 0.9, BOX),),
            decision=replace(made.decision, policy_version=self.policy),
        )  # fmt: skip
        with self.store.begin() as tx:
            tx.items.add(item)
            tx.predictions.add(prediction)
            tx.truths.add(
                GroundTruth(
                    project_id="shapes", item_digest=digest, version=1, shapes=tuple(truth), submission_ids=(),
                    origin="import", created_at=now,
                )
            )  # fmt: skip
        return digest

    def trained_on(self, digests: list[str]) -> str:
        """Another version, whose snapshot has these items to train on."""
        with self.store.read() as tx:
            rows = [pair for pair in tx.truths.all_current("shapes") if pair[0].digest in digests]
            champion = tx.models.get("shapes", self.model)
        snapshot = freeze(rows, labels=("circle", "square", "bar"), val_share=0.0)
        key = snapshot.keep(self.service.services.blobs.put)
        model = ModelVersion(
            id="model_trained", project_id="shapes", digest=digest_of(b"trained"), head=champion.head, origin="cycle",
            cycle_id=None, reference_key=None, created_at=self.service.services.clock(), notes={"snapshot": key},
        )  # fmt: skip
        with self.store.begin() as tx:
            tx.models.add(model)
        return model.id


RIGHT = Shape("circle", BOX)


@pytest.fixture
def world(service: Service) -> World:
    made = World(service)
    for _ in range(30):
        made.item([RIGHT])
    return made


def report(service: Service, **params: object) -> dict:
    answer = service.call("GET", PATH, params=params)
    assert answer.is_success, answer.text
    return answer.json()


def test_truth_that_models_agree_with_is_not_doubted(service: Service, world: World) -> None:
    found = report(service)
    assert (found["compared"], found["unseen"], found["more"], found["items"]) == (30, 0, False, [])


def test_the_most_doubtful_comes_first_with_what_is_wrong(service: Service, world: World) -> None:
    """An object without a box, a box with another label, and a box beside its object."""
    missing = world.item([])
    renamed = world.item([Shape("square", BOX)])
    beside = world.item([Shape("circle", (17.0, 17.0, 37.0, 37.0))])
    found = {one["item_digest"]: one for one in report(service)["items"]}
    assert set(found) == {missing, renamed, beside}
    assert [one["flaw"] for one in found[missing]["doubts"]] == ["overlooked"]
    assert found[missing]["doubts"][0]["shape"] is None
    assert found[missing]["doubts"][0]["detection"] == {"label": "circle", "score": 0.9, "box": list(BOX)}
    assert found[renamed]["doubts"][0]["flaw"] == "misnamed"
    assert found[renamed]["doubts"][0]["shape"]["label"] == "square"
    assert "misplaced" in [one["flaw"] for one in found[beside]["doubts"]]
    scores = [one["score"] for one in report(service)["items"]]
    assert scores == sorted(scores) and len(report(service, limit=2)["items"]) == 2


def test_who_has_learned_an_answer_is_not_asked_about_it(service: Service, world: World) -> None:
    """A later prediction by a model that was trained on wrong truth agrees with it; the one before still counts."""
    wrong = world.item([], days=-1.0)
    trained = world.trained_on([wrong])
    other = a_prediction(9000, project_id="shapes", at=service.services.clock() + timedelta(days=2), stage=None)
    decision = replace(other.decision, policy_version=1)
    with world.store.begin() as tx:
        tx.predictions.add(replace(other, item_digest=wrong, model_id=trained, detections=(), decision=decision))
    (found,) = report(service)["items"]
    assert (found["item_digest"], found["model_id"]) == (wrong, world.model)


def test_items_that_nobody_predicted_are_counted(service: Service, world: World) -> None:
    with world.store.begin() as tx:
        now = service.services.clock()
        digest = digest_of(b"unseen")
        tx.items.add(
            Item(project_id="shapes", digest=digest, media_type="image/png", width=64, height=48, created_at=now)
        )
        tx.truths.add(
            GroundTruth(
                project_id="shapes", item_digest=digest, version=1, shapes=(), submission_ids=(), origin="import",
                created_at=now,
            )
        )  # fmt: skip
    assert (report(service)["compared"], report(service)["unseen"]) == (30, 1)


def test_people_are_asked_again_and_their_answer_counts(service: Service) -> None:
    """What they answered comes back to them; what was only imported becomes a task of its own, once."""
    service.predict(picture(1))
    (task,) = leased(service)
    assert submit(service, task, []).status_code == 200
    answered = task["item_digest"]
    imported = World(service).item([])
    asked = service.call("POST", f"{PATH}/review", json={"items": [answered, imported]})
    assert asked.json() == {"items": [answered, imported], "left": []}
    again = service.call("POST", f"{PATH}/review", json={"items": [answered, imported]}).json()
    assert again["items"] == [] and {one["item_digest"] for one in again["left"]} == {answered, imported}
    work = leased(service, 2)
    assert {one["item_digest"] for one in work} == {answered, imported}


def test_only_operators_may(service: Service) -> None:
    for role in ("reviewer", "producer"):
        assert service.call("GET", PATH, role).status_code == 403
        assert service.call("POST", f"{PATH}/review", role, json={"items": ["x"]}).status_code == 403
    assert service.call("POST", f"{PATH}/review", json={"items": ["0" * 64]}).status_code == 404
