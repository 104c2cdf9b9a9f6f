"""Canaries, shadows and serving options over HTTP and from the command line."""

import os
import threading
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from askance.client import ApiError, Client
from loop.cli.command_line import app as command_line
from loop.domain.errors import AskanceError, Unavailable
from tests.api.conftest import LABELS, listening, running_in
from tests.api.test_models_and_cycles import add, champion, promote, settle
from tests.api.test_predictions import problem
from tests.tiny_models import tiny_weights

OTHER = tiny_weights(tuple(LABELS), seed=1)
ROLLOUTS = "/v1/projects/shapes/rollouts"


def start(service, model_id: str, role: str = "operator", **body):
    return service.call("POST", ROLLOUTS, role, json={"kind": "canary", "model_id": model_id, "share": 0.1, **body})


def settle_rollouts(service, deploy=lambda _model: None) -> None:
    """What the serving process does with queued rollouts."""
    for waiting in service.services.succession.due(()):
        service.services.succession.settle_rollout(waiting, deploy)


@pytest.mark.parametrize("kind", ["canary", "shadow"])
def test_a_rollout_is_asked_for_followed_and_ended(service, kind):
    """202 and queued; active once it is deployed; in the lists of rollouts and of models; ended by hand."""
    model_id = add(service, OTHER).json()["id"]
    asked = start(service, model_id, kind=kind, share=1.0, reason="try the new one")
    assert asked.status_code == 202
    body = asked.json()
    assert (body["kind"], body["state"], body["share"], body["actor"]) == (kind, "queued", 1.0, "operator")
    assert (body["model_id"], body["champion_id"]) == (model_id, champion(service))
    assert body["limits"]["max_error_rate"] == service.services.settings.rollout.max_error_rate
    settle_rollouts(service)
    (listed,) = service.call("GET", ROLLOUTS).json()["rollouts"]
    assert (listed["id"], listed["state"]) == (body["id"], "active")
    assert service.call("GET", "/v1/projects/shapes/models").json()["rollouts"] == [listed]
    ended = service.call("POST", f"{ROLLOUTS}/{body['id']}/end", json={"reason": "seen enough"}).json()
    assert (ended["state"], ended["error"]) == ("ended", "seen enough")
    problem(service.call("POST", f"{ROLLOUTS}/{body['id']}/end", json={}), 409, "conflict")


def test_what_cannot_be_started_says_why(service):
    """A share outside, a kind or field that is unknown: 422; an unknown model: 404; the champion, a second one, a
    project without a champion: 409."""
    model_id = add(service, OTHER).json()["id"]
    for wrong in ({"share": 0}, {"share": 1.5}, {"share": -1}, {"kind": "blue-green"}, {"share": "all"}, {"shares": 1}):
        problem(start(service, model_id, **wrong), 422, "invalid")
    problem(start(service, "model_none"), 404, "not-found")
    problem(start(service, champion(service)), 409, "conflict")
    service.services.projects.create("empty", tuple(LABELS))
    other = service.call("POST", "/v1/projects/empty/models", content=OTHER).json()["id"]
    empty = {"kind": "canary", "model_id": other, "share": 0.5}
    assert "no champion" in problem(
        service.call("POST", "/v1/projects/empty/rollouts", json=empty), 409, "conflict"
    )["detail"]  # fmt: skip
    start(service, model_id)
    assert "models end canary" in problem(start(service, model_id), 409, "conflict")["hint"]
    problem(service.call("POST", f"{ROLLOUTS}/rollout_none/end", json={}), 404, "not-found")


def test_only_operators_start_end_and_configure(service):
    """Producers and reviewers see rollouts and change none."""
    model_id = add(service, OTHER).json()["id"]
    rollout_id = start(service, model_id).json()["id"]
    for role in ("producer", "reviewer"):
        problem(start(service, model_id, role, kind="shadow"), 403, "forbidden")
        problem(service.call("POST", f"{ROLLOUTS}/{rollout_id}/end", role, json={}), 403, "forbidden")
        path = f"/v1/projects/shapes/models/{model_id}/serving"
        problem(service.call("POST", path, role, json={"options": {"num_cpus": 1}}), 403, "forbidden")
        assert service.call("GET", ROLLOUTS, role).status_code == 200


def test_a_rollout_of_another_project_is_not_found(service):
    """Its id does not open it from elsewhere."""
    service.services.projects.create("other", tuple(LABELS))
    rollout_id = start(service, add(service, OTHER).json()["id"]).json()["id"]
    problem(service.call("POST", f"/v1/projects/other/rollouts/{rollout_id}/end", json={}), 404, "not-found")


def test_a_canary_that_does_not_start_tells_and_the_champion_answers(service):
    """Its state and its error say why."""

    def deploy(_model) -> None:
        raise Unavailable("it runs out of memory.", hint="Give it a smaller batch.")

    start(service, add(service, OTHER).json()["id"])
    settle_rollouts(service, deploy)
    (listed,) = service.call("GET", ROLLOUTS).json()["rollouts"]
    assert (listed["state"], listed["error"]) == ("failed", "it runs out of memory. Give it a smaller batch.")


# --- serving options ---------------------------------------------------------------------------------


def configure(service, model_id: str, **options):
    return service.call("POST", f"/v1/projects/shapes/models/{model_id}/serving", json={"options": options})


def test_the_champion_is_configured_through_a_promotion(service):
    """Its options are the new ones once that is active; null takes one back."""
    model_id = champion(service)
    for options, before, after in (
        ({"detector_replicas": "2", "device": "cpu"}, {}, {"detector_replicas": 2, "device": "cpu"}),
        ({"device": None}, {"detector_replicas": 2, "device": "cpu"}, {"detector_replicas": 2}),
    ):
        body = configure(service, model_id, **options).json()
        assert (body["promotion"]["kind"], body["model"]["serving"]) == ("reconfigure", before)
        settle(service)
        (model,) = service.call("GET", "/v1/projects/shapes/models").json()["models"]
        assert (model["serving"], model["champion"]) == (after, True)


def test_another_version_keeps_its_options(service):
    """No promotion: they hold when it serves."""
    model_id = add(service, OTHER).json()["id"]
    body = configure(service, model_id, num_cpus=0.25).json()
    assert (body["promotion"], body["model"]["serving"]) == (None, {"num_cpus": 0.25})


def test_options_that_cannot_be_used_name_what_is_wrong(service):
    """An unknown one with the nearest that is known, a value out of range, two that contradict each other; nothing
    is kept."""
    model_id = champion(service)
    for options, said in (
        ({"detektor_replicas": 2}, "detector_replicas"),
        ({"gateway_replicas": 2}, "gateway_replicas"),
        ({"detector_replicas": 0}, "detector_replicas is 0; expected a number greater than or equal to 1"),
        ({"device": "tpu"}, "device is 'tpu'"),
        ({"num_cpus": "many"}, "num_cpus is 'many'"),
        ({"num_cpus": True}, "num_cpus is True"),
        ({"object_embeddings": "perhaps"}, "object_embeddings is 'perhaps'"),
        ({"score_floor": 0.9}, "policy.score_threshold"),
        ({"nothing": None}, "unknown option nothing"),
    ):
        assert said in problem(configure(service, model_id, **options), 422, "bad-settings")["detail"]
    for options in ({"num_cpus": [1]}, {}):
        problem(configure(service, model_id, **options), 422, "invalid")
    assert service.call("GET", "/v1/projects/shapes/models").json()["models"][0]["serving"] == {}
    problem(configure(service, "model_none", num_cpus=1), 404, "not-found")


@pytest.mark.parametrize("given", [True, "true", "yes"])
def test_an_option_may_be_yes_or_no(service, given):
    """As JSON says it, and as a command line does."""
    answer = configure(service, champion(service), object_embeddings=given)
    assert answer.is_success and answer.json()["promotion"]["state"] == "queued"


# --- the client and the command line -----------------------------------------------------------------


@pytest.fixture
def url(service) -> Iterator[str]:
    """A second gateway on a real port, with the serving process's loop beside it."""
    stop = threading.Event()
    thread = threading.Thread(target=_work_off, args=(service, stop))
    thread.start()
    with listening(service) as url:
        yield url
    stop.set()
    thread.join(10)


def _work_off(service, stop: threading.Event) -> None:
    succession = service.services.succession
    while not stop.wait(0.02):
        for waiting in succession.due(()):
            settled = succession.settle_rollout if hasattr(waiting, "share") else succession.settle
            settled(waiting, lambda _model: None)


@pytest.fixture
def askance(service, url, tmp_path, monkeypatch):
    """Runs a command as an operator; gives its output, or raises what it refused with."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> str:
        environ = {"ASKANCE_TOKEN": service.tokens["operator"], "ASKANCE_URL": url, "COLUMNS": "250"}
        done = CliRunner().invoke(command_line, [*arguments, "--project", "shapes"], env={**os.environ, **environ})
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.output

    return run


def test_canary_and_shadow_from_the_command_line(service, askance):
    """Started, shown beside the versions, ended, and kept in the history."""
    model_id = add(service, OTHER).json()["id"]
    assert "runs as a canary for 10%" in askance("models", "canary", model_id, "--share", "0.1", "--reason", "try it")
    assert "runs as a shadow for 100%" in askance("models", "shadow", model_id)
    listed = next(line for line in askance("models", "list").splitlines() if model_id in line)
    assert "canary 10%, shadow 100%" in listed
    assert "has ended" in askance("models", "end", "canary")
    status = askance("models", "status")
    assert "try it" in status
    assert "ended by hand" in status
    with pytest.raises(AskanceError, match="no canary"):
        askance("models", "end", "canary")


def test_options_from_the_command_line(service, askance):
    """The champion is swapped for itself; a typo names the nearest option."""
    model_id = champion(service)
    assert "(reconfigure)" in askance("models", "configure", model_id, "detector_replicas=2", "max_batch_size=4")
    assert "detector_replicas=2 max_batch_size=4" in askance("models", "list")
    askance("models", "configure", model_id, "max_batch_size=null")
    assert "max_batch_size" not in askance("models", "list")
    with pytest.raises(ApiError, match="did you mean max_batch_size"):
        askance("models", "configure", model_id, "max_batchsize=4")
    with pytest.raises(AskanceError, match="key=value"):
        askance("models", "configure", model_id, "max_batch_size")


def test_the_client_follows_a_rollout(service, url):
    """Until it is no longer queued; what ended it stands in the list."""
    model_id = add(service, OTHER).json()["id"]
    with Client(url, service.tokens["operator"]) as client:
        asked = client.start_rollout("shapes", model_id, kind="canary", share=0.5)
        assert client.await_rollout("shapes", asked.id).state == "active"
        client.await_promotion("shapes", promote(service, model_id).json()["id"])
        (rollout,) = client.rollouts("shapes")
    assert (rollout.state, rollout.error) == ("ended", "it became the champion")


def test_a_model_that_shares_its_processes_has_no_options_of_a_process(tmp_path, sqlite_template):
    """Refused when it is given, with what to do; what holds for one model of several is kept, and shown."""
    with running_in(tmp_path, sqlite_template, ASKANCE_SERVING__SHARED_REPLICAS="2") as service:
        model_id = add(service, OTHER).json()["id"]
        said = problem(configure(service, model_id, num_gpus=1), 422, "bad-settings")
        assert "num_gpus" in said["detail"] and "serving.shared_replicas: 0" in said["hint"]
        own = {"batch_wait_ms": 20.0, "decode_threads": 4, "timeout_s": 2.5}
        assert configure(service, model_id, **own).json()["model"]["serving"] == own
        models = service.call("GET", "/v1/projects/shapes/models").json()["models"]
        assert next(model for model in models if model["id"] == model_id)["serving"] == own
