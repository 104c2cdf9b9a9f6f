"""Model versions, promotions and cycles over HTTP: who serves, and how that may change."""

import pickle
from dataclasses import replace

from loop.domain.errors import Unavailable
from tests.api.conftest import LABELS, picture
from tests.api.test_predictions import problem
from tests.tiny_models import tiny_weights

OTHER = tiny_weights(tuple(LABELS), seed=1)


def add(service, content: bytes):
    return service.call("POST", "/v1/projects/shapes/models", content=content)


def promote(service, model_id: str, reason: str = "looks better"):
    return service.call("POST", f"/v1/projects/shapes/models/{model_id}/promote", json={"reason": reason})


def settle(service, deploy=lambda _model: None) -> list:
    """What the serving process does with queued promotions."""
    with service.services.store.read() as tx:
        queued = tx.promotions.queued()
    return [service.services.succession.settle(promotion, deploy) for promotion in queued]


def champion(service) -> str:
    return service.call("GET", "/v1/projects/shapes").json()["champion_id"]


def test_a_later_model_waits_to_be_promoted(service):
    """A project's first model serves at once; another is a version until somebody or the gate promotes it."""
    before = champion(service)
    added = add(service, OTHER).json()
    assert (added["champion"], champion(service)) == (False, before)
    assert promote(service, added["id"]).status_code == 202
    settle(service)
    assert champion(service) == added["id"]


def test_the_same_weights_are_one_version(service):
    """Adding a file again gives the version that is there."""
    assert add(service, OTHER).json()["id"] == add(service, OTHER).json()["id"]
    assert len(service.call("GET", "/v1/projects/shapes/models").json()["models"]) == 2


def test_a_pickle_is_refused_unread(service):
    """Whatever is no safetensors file of Askance's is 422; nothing of it is executed or kept."""

    class Bomb:
        def __reduce__(self):
            return (exec, ("raise SystemExit('executed')",))

    for content in (pickle.dumps(Bomb()), b"", b"hello", OTHER[:100]):
        problem(add(service, content), 422, "bad-weights")
    assert len(service.call("GET", "/v1/projects/shapes/models").json()["models"]) == 1


def test_a_model_with_foreign_labels_is_refused(service):
    """A model that predicts what the project has no label for would break its reviewers' page."""
    body = problem(add(service, tiny_weights(("circle", "cow", "bar"))), 422, "invalid")
    assert body["ids"]["labels"] == ["cow"]


def test_a_base_may_have_any_labels_and_does_not_serve(service):
    """Weights to start from are kept beside the versions, of whatever labels, and are not asked to serve; to promote
    them is refused for the labels that nobody here knows."""
    service.call("POST", "/v1/projects", json={"id": "bare", "labels": ["circle"]})
    path = "/v1/projects/bare/models"
    added = service.call("POST", path, content=tiny_weights(("cow", "circle")), params={"base": True})
    assert added.status_code == 201
    assert (added.json()["origin"], added.json()["champion"]) == ("base", False)
    assert service.call("GET", path).json()["promotions"] == []
    asked = service.call("POST", f"{path}/{added.json()['id']}/promote", json={"reason": "why not"})
    assert asked.status_code == 202
    (settled,) = settle(service)
    assert (settled.state, "cow" in settled.error) == ("failed", True)


def test_the_first_training_starts_from_the_newest_base(service):
    """Until there is a champion, and then from that."""
    projects, models, controller = service.services.projects, service.services.models, service.services.controller
    projects.create("bare", ("circle",))
    cycle = controller.request("bare", "ann", "first", {})
    assert controller.books.start(cycle) is None
    for seed in (2, 3):
        base, _ = models.register("bare", tiny_weights(("cow",), seed=seed), "ann", base=True)
    assert controller.books.start(cycle) == base
    later = controller.request("shapes", "ann", "later", {})
    models.register("shapes", tiny_weights(("cow",), seed=2), "ann", base=True)
    assert controller.books.start(replace(later, champion_id=champion(service))).id == champion(service)


def test_an_override_needs_a_reason_and_keeps_it(service):
    """Without a reason 422; with one it stands in the history beside the name."""
    added = add(service, OTHER).json()
    problem_without = service.call("POST", f"/v1/projects/shapes/models/{added['id']}/promote", json={})
    assert problem_without.status_code == 422
    promote(service, added["id"], "agreed with the team")
    settle(service)
    newest = service.call("GET", "/v1/projects/shapes/models").json()["promotions"][0]
    assert (newest["kind"], newest["reason"], newest["actor"]) == ("override", "agreed with the team", "operator")


def test_a_model_that_cannot_be_deployed_never_serves(service):
    """The promotion fails with its reason, and the champion stays."""
    before = champion(service)
    promote(service, add(service, OTHER).json()["id"])

    def deploy(_model) -> None:
        raise Unavailable("it does not start.", hint="Look at the log.")

    (done,) = settle(service, deploy)
    assert (done.state, done.error) == ("failed", "it does not start. Look at the log.")
    assert champion(service) == before
    assert service.predict(picture()).status_code == 200


def test_two_promotions_do_not_race(service):
    """While one waits, another is 409; so is promoting what serves already."""
    added = add(service, OTHER).json()
    problem(promote(service, champion(service)), 409, "conflict")
    promote(service, added["id"])
    problem(promote(service, added["id"]), 409, "conflict")


def test_rollback_goes_to_the_champion_before(service):
    """409 where there was none; afterwards the earlier version serves again."""
    first = champion(service)
    problem(service.call("POST", "/v1/projects/shapes/models/rollback", json={}), 409, "conflict")
    promote(service, add(service, OTHER).json()["id"])
    settle(service)
    assert service.call("POST", "/v1/projects/shapes/models/rollback", json={}).status_code == 202
    settle(service)
    assert champion(service) == first


def test_rolling_back_twice_goes_back_twice(service):
    """From the third champion to the second to the first, not to and fro."""
    first = champion(service)
    for seed in (1, 2):
        promote(service, add(service, tiny_weights(tuple(LABELS), seed=seed)).json()["id"])
        settle(service)
    for _ in range(2):
        service.call("POST", "/v1/projects/shapes/models/rollback", json={})
        settle(service)
    assert champion(service) == first


def test_a_stopping_service_blames_nobody(service):
    """What fails because the process is being ended stays queued for the next start."""
    added = add(service, OTHER).json()
    promote(service, added["id"])

    def deploy(_model) -> None:
        raise RuntimeError("Ray is gone")

    controller, store = service.services.controller, service.services.store
    with store.read() as tx:
        (promotion,) = tx.promotions.queued()
    service.services.succession.settle(promotion, deploy, stopping=lambda: True)
    cycle = controller.request("shapes", "test", "asked for", {})
    controller.advance(cycle, stopping=lambda: True)
    with store.read() as tx:
        assert [p.id for p in tx.promotions.queued()] == [promotion.id]
        assert [c.id for c in tx.cycles.unfinished()] == [cycle.id]
    settle(service)
    assert champion(service) == added["id"]


def test_one_cycle_at_a_time(service):
    """A second cycle is 409 until the first is over."""
    first = service.call("POST", "/v1/projects/shapes/cycles", json={"epochs": 2})
    assert first.status_code == 202
    assert first.json()["recipe"]["epochs"] == 2
    problem(service.call("POST", "/v1/projects/shapes/cycles", json={}), 409, "cycle-running")


def test_a_cycle_without_truth_fails_with_what_to_do(service):
    """Nothing to train on: the cycle ends before any training, says why, and the champion stays."""
    before = champion(service)
    cycle_id = service.call("POST", "/v1/projects/shapes/cycles", json={}).json()["id"]
    with service.services.store.read() as tx:
        (cycle,) = tx.cycles.unfinished()
    service.services.controller.advance(cycle)
    ended = service.call("GET", f"/v1/projects/shapes/cycles/{cycle_id}").json()
    assert ended["state"] == "failed"
    assert "to train on" in ended["error"]
    assert champion(service) == before


def test_a_bad_recipe_is_refused(service):
    """Out of range or misspelt: 422 naming the field."""
    for body in ({"epochs": 0}, {"mode": "better"}, {"epoch": 3}, {"learning_rate": 2.0}):
        problem(service.call("POST", "/v1/projects/shapes/cycles", json=body), 422, "invalid")
