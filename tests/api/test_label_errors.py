"""Ground truth that models doubt, over HTTP."""

import gc
import tracemalloc
from dataclasses import replace
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from loop.cli import app
from loop.cycle import label_errors
from loop.domain.identity import digest_of
from loop.domain.item import Item, Split
from loop.domain.model import ModelVersion
from loop.domain.prediction import Detection
from loop.domain.truth import GroundTruth, Shape
from tests.api.conftest import Service, client_within, picture
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
    service.services.blobs.put(b"1")  # its image
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


def spoiled(world: World, count: int) -> None:
    """Some with an object without a box, some with a box that has another label, and the digest with zeros at its end
    of which NumPy makes nothing by itself."""
    for number in range(count):
        world.item([] if number % 3 == 0 else [Shape("square", BOX)] if number % 3 == 1 else [RIGHT])
    with world.store.begin() as tx:
        (item, truth), *_ = list(tx.truths.all_current("shapes"))
        digest = item.digest[:60] + "0000"
        said = tx.predictions.latest_of("shapes", item.digest)
        tx.items.add(replace(item, digest=digest))
        tx.truths.add(replace(truth, item_digest=digest, shapes=()))
        tx.predictions.add(replace(said, id="prediction_zeros", item_digest=digest))


@pytest.mark.parametrize("part", [1, 7, 1000])
def test_all_items_are_compared_however_few_are_held_at_once(
    service: Service, world: World, part: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How far a detection is believed is gathered over all of them, so that the parts change nothing."""
    spoiled(world, 12)
    whole = report(service, limit=1000)
    monkeypatch.setattr("loop.cycle.label_errors._PART", part)
    assert report(service, limit=1000) == whole
    assert (whole["total"], whole["compared"], whole["more"], len(whole["items"])) == (43, 43, False, 9)
    assert any(one["item_digest"].endswith("0000") for one in whole["items"])


def test_some_items_stand_for_all_where_that_is_asked_for(service: Service, world: World) -> None:
    """And the answer says of how many."""
    some = report(service, most=10)
    assert (some["total"], some["compared"] + some["unseen"], some["more"]) == (30, 10, True)
    enough = report(service, most=30)
    assert (enough["total"], enough["compared"], enough["more"]) == (30, 30, False)


def test_dropped_images_are_not_compared(service: Service, world: World) -> None:
    wrong = world.item([])
    with world.store.begin() as tx:
        assert tx.items.drop("shapes", wrong, by="ada", at=service.services.clock())
    found = report(service)
    assert (found["total"], found["compared"], found["items"]) == (30, 30, [])


def test_ten_times_as_many_items_take_hardly_more_memory(
    service: Service, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of each item its digest is held, and of the most doubtful what is told of them."""
    monkeypatch.setattr("loop.cycle.label_errors._PART", 10)
    spoiled(world, 90)
    operator = service.services.tokens.authenticate(service.tokens["operator"])

    def peak(most: int) -> int:
        service.services.label_errors.report(operator, "shapes", limit=5, most=most)
        tracemalloc.start()
        service.services.label_errors.report(operator, "shapes", limit=5, most=most)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    def tidily(*given):
        """What transactions leave in cycles is cleared away at once, or it would be taken for held."""
        gc.collect()
        return said(*given)

    said = label_errors._with_what_was_said
    monkeypatch.setattr(label_errors, "_with_what_was_said", tidily)
    few, many = peak(30), peak(120)
    assert many - few < 90 * 300


def test_the_command_looks_at_all_or_says_at_how_many(service: Service, world: World, monkeypatch) -> None:
    monkeypatch.setattr("loop.cli.label_errors.client_of", lambda *_: client_within(service))

    def told(*arguments: str) -> str:
        return CliRunner().invoke(app, ["label-errors", "-p", "shapes", *arguments]).output

    assert "30 items compared" in told() and "looked at" not in told()
    assert "10 of 30 items with truth were looked at" in told("--most", "10")
