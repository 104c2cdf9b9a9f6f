"""Webhooks over HTTP and from the command line: what operators see and do, and what a receiver is told."""

import json
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from standardwebhooks import Webhook
from typer.testing import CliRunner

from loop.cli import app
from loop.domain.announcements import EVENT_TYPES, PING
from loop.domain.errors import AskanceError
from loop.webhooks.outgoing import HttpSender
from serving.client import Client
from tests.api.conftest import Service, picture
from tests.api.test_predictions import problem
from tests.receivers import Receiver, receiver
from tests.requirements import missing
from tests.test_dispatching import dispatcher, running, until

HOOKS = "/v1/webhooks"
PUBLIC = "https://93.184.216.34/hook?key=secret"
BOX = {"type": "box", "label": "circle", "box": [5, 5, 20, 20]}


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as listening:
        yield listening


@pytest.fixture
def developer(service: Service) -> Service:
    """A service whose webhooks may go to this machine."""
    services = service.services
    sender = HttpSender(allow_private=True, timeout_s=5.0, clock=services.clock)
    webhooks = replace(services.webhooks, sender=sender, allow_private=True)
    impatient = dispatcher(services.store, sender, pauses=())
    service.services = replace(services, webhooks=webhooks, dispatcher=impatient)
    service.client.app.state.services = service.services
    return service


def create(service: Service, url: str = PUBLIC, role: str = "operator", **body: object) -> dict:
    answer = service.call("POST", HOOKS, role, json={"url": url, **body})
    assert answer.status_code == 201, answer.text
    return answer.json()


def told(there: Receiver) -> list[dict]:
    return [json.loads(request.body) for request in there.accepted]


# --- what a receiver is told -----------------------------------------------------------------------------


def test_a_receiver_is_told_of_reviews_from_the_task_to_the_answer(developer: Service, there: Receiver) -> None:
    """A task, the review of its prediction, a task that nobody could answer; each signed with the endpoint's secret."""
    there.secret = create(developer, there.url, project_id="shapes")["secret"]
    first, second = developer.predict(picture(0)).json(), developer.predict(picture(1)).json()
    tasks = developer.call("POST", "/v1/projects/shapes/tasks/lease", "reviewer", json={"count": 2}).json()["tasks"]
    by_id = {task["id"]: task for task in tasks}
    answer = {"epoch": by_id[first["task_id"]]["epoch"], "shapes": [BOX]}
    submission = developer.call("POST", f"/v1/tasks/{first['task_id']}/submit", "reviewer", json=answer).json()
    reason = {"epoch": by_id[second["task_id"]]["epoch"], "reason": "too dark"}
    skipped = developer.call("POST", f"/v1/tasks/{second['task_id']}/skip", "reviewer", json=reason).json()
    with running(developer.services.dispatcher):
        until(lambda: len(there.accepted) == 4)
    assert there.forged == []
    by_type: dict[str, list[dict]] = {}
    for one in told(there):
        assert (one["project_id"], one["version"]) == ("shapes", 1)
        by_type.setdefault(one["type"], []).append(one["data"])
    made = {
        answer["task_id"]: {
            "task_id": answer["task_id"], "item_digest": answer["item_digest"], "prediction_id": answer["id"],
            "selection_id": None,
        }
        for answer in (first, second)
    }  # fmt: skip
    assert {one["task_id"]: one for one in by_type["task.created"]} == made
    (reviewed,) = by_type["prediction.reviewed"]
    assert reviewed == {
        "prediction_id": first["id"], "task_id": first["task_id"], "submission_id": submission["id"],
        "item_digest": first["item_digest"], "corrected": True, "corrections": submission["corrections"],
    }  # fmt: skip
    (passed,) = by_type["task.skipped"]
    assert (passed["task_id"], passed["submission_id"]) == (second["task_id"], skipped["id"])


def test_selected_tasks_are_told_with_their_selection(developer: Service, there: Receiver) -> None:
    """Accepted predictions are told nobody; what is selected from them later is."""
    developer.call("PATCH", "/v1/projects/shapes/policy", json={"threshold": 1.0, "audit_rate": 0.0})
    create(developer, there.url, types=["task.created"])
    answers = [developer.predict(picture(seed)).json() for seed in range(4)]
    made = developer.call("POST", "/v1/projects/shapes/selections", json={"budget": 3, "seed": 1}).json()
    with running(developer.services.dispatcher):
        until(lambda: len(there.accepted) == 3)
    assert {one["data"]["task_id"] for one in told(there)} == {pick["task_id"] for pick in made["picks"]}
    assert {one["data"]["selection_id"] for one in told(there)} == {made["id"]}
    assert {one["data"]["prediction_id"] for one in told(there)} < {answer["id"] for answer in answers}


def test_a_dry_run_is_told_nobody(developer: Service, there: Receiver) -> None:
    developer.call("PATCH", "/v1/projects/shapes/policy", json={"threshold": 1.0, "audit_rate": 0.0})
    made = create(developer, there.url)
    developer.predict(picture())
    developer.call("POST", "/v1/projects/shapes/selections", json={"budget": 1, "dry_run": True})
    assert developer.call("GET", f"{HOOKS}/{made['id']}").json()["pending"] == 0


def test_a_test_sends_a_ping_and_says_what_came_back(developer: Service, there: Receiver) -> None:
    made = create(developer, there.url)
    answer = developer.call("POST", f"{HOOKS}/{made['id']}/test").json()
    assert (answer["status"], answer["error"]) == (204, "")
    (got,) = there.accepted
    ping = Webhook(made["secret"]).verify(got.body, got.headers)
    assert (ping["type"], ping["data"]) == ("ping", {"endpoint_id": made["id"]})
    assert list(ping["data"]) == list(PING.example)
    there.conduct = lambda _request, _before: 500
    answer = developer.call("POST", f"{HOOKS}/{made['id']}/test").json()
    assert (answer["status"], answer["said"]) == (500, "the receiver  says <so>")
    assert developer.call("GET", f"{HOOKS}/{made['id']}/deliveries").json()["deliveries"] == []


# --- endpoints -------------------------------------------------------------------------------------------


def test_a_secret_is_shown_once(service: Service) -> None:
    """When the endpoint is made and when it is rotated; in no list, and in no error."""
    made = create(service, types=["cycle.finished"], description="pager")
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", made["secret"])
    turned = service.call("POST", f"{HOOKS}/{made['id']}/rotate").json()
    assert turned["secret"] != made["secret"] and len(turned["secrets_until"]) == 1
    for path in (HOOKS, f"{HOOKS}/{made['id']}", f"{HOOKS}/{made['id']}/deliveries", "/v1/projects/shapes/events"):
        text = service.call("GET", path).text
        assert made["secret"] not in text and turned["secret"] not in text and "whsec_" not in text
    (listed,) = service.call("GET", HOOKS).json()["webhooks"]
    assert (listed["url"], listed["types"], listed["description"]) == (PUBLIC, ["cycle.finished"], "pager")
    assert (listed["enabled"], listed["pending"], listed["dead"]) == (True, 0, 0)
    assert listed["created_by"] == "operator"


def test_what_is_left_out_of_a_change_stays(service: Service) -> None:
    made = create(service, types=["cycle.finished"], description="pager")
    path = f"{HOOKS}/{made['id']}"
    assert service.call("PATCH", path, json={"types": []}).json()["types"] == []
    off = service.call("PATCH", path, json={"enabled": False}).json()
    assert (off["enabled"], off["why_disabled"], off["description"]) == (False, "By operator.", "pager")
    moved = service.call("PATCH", path, json={"url": "https://1.1.1.1/", "enabled": True}).json()
    assert (moved["url"], moved["enabled"], moved["why_disabled"]) == ("https://1.1.1.1/", True, "")
    problem(service.call("PATCH", path, json={}), 422, "invalid")
    assert service.call("DELETE", path).status_code == 204
    problem(service.call("GET", path), 404, "not-found")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"url": "http://127.0.0.1:9000/"}, "webhooks.allow_private"),
        ({"url": "https://169.254.169.254/latest/meta-data"}, "webhooks.allow_private"),
        ({"url": "file:///etc/passwd"}, "https://"),
        ({"url": PUBLIC, "types": ["drift.imagined"]}, "prediction.reviewed"),
        ({"url": PUBLIC, "project_id": "nope"}, "project"),
        ({"url": PUBLIC, "secret": "mine"}, ""),
        ({"url": PUBLIC, "description": "\x00"}, ""),
        ({"url": "https://93.184.216.34/\ud800"}, ""),
        ({"url": 7}, ""),
        ({}, ""),
    ],
)
def test_what_cannot_be_an_endpoint_is_refused(service: Service, body: dict[str, object], words: str) -> None:
    answer = service.call("POST", HOOKS, content=json.dumps(body), headers={"content-type": "application/json"})
    assert answer.status_code in (404, 422), answer.text
    assert answer.json()["hint"] and words in answer.text
    assert service.call("GET", HOOKS).json()["webhooks"] == []


def test_operators_of_a_project_see_and_change_its_endpoints_alone(service: Service) -> None:
    """And others of no operator at all."""
    service.services.projects.create("other", ("a",))
    made = service.call("POST", "/v1/tokens", json={"name": "o", "role": "operator", "project_id": "other"}).json()
    service.tokens["other"] = made["secret"]
    everywhere, shapes = create(service), create(service, project_id="shapes")
    own = create(service, role="other", project_id="other")
    assert [one["id"] for one in service.call("GET", HOOKS, "other").json()["webhooks"]] == [own["id"]]
    assert len(service.call("GET", HOOKS).json()["webhooks"]) == 3
    problem(service.call("POST", HOOKS, "other", json={"url": PUBLIC}), 403, "forbidden")
    problem(service.call("POST", HOOKS, "other", json={"url": PUBLIC, "project_id": "shapes"}), 403, "forbidden")
    for strange in (everywhere["id"], shapes["id"]):
        for method, path in (
            ("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/rotate"), ("POST", "/test"), ("POST", "/replay"),
            ("GET", "/deliveries"), ("GET", "/deliveries/x"), ("POST", "/deliveries/x/replay"),
        ):  # fmt: skip
            body = {"json": {"enabled": False}} if method == "PATCH" else {}
            problem(service.call(method, f"{HOOKS}/{strange}{path}", "other", **body), 403, "forbidden")
            for role in ("reviewer", "producer"):
                problem(service.call(method, f"{HOOKS}/{strange}{path}", role, **body), 403, "forbidden")
    assert service.call("POST", f"{HOOKS}/{own['id']}/rotate", "other").status_code == 200


def test_the_types_are_told(service: Service) -> None:
    """With the version of the envelope and an example of each."""
    body = service.call("GET", f"{HOOKS}/event-types").json()
    assert body["version"] == 1
    assert {one["name"]: one["example"] for one in body["types"]} == {
        name: dict(one.example) for name, one in EVENT_TYPES.items()
    }


# --- deliveries ------------------------------------------------------------------------------------------


def test_what_was_given_up_is_listed_explained_and_replayed(developer: Service, there: Receiver) -> None:
    """One by its id, or all at once; the receiver sees the id that it saw before."""
    made = create(developer, there.url, types=["task.created"])
    there.conduct = lambda _request, before: 204 if before else 500
    for seed in range(3):
        developer.predict(picture(seed))
    path = f"{HOOKS}/{made['id']}"
    with running(developer.services.dispatcher):
        until(lambda: developer.call("GET", path).json()["dead"] == 3)
        dead = developer.call("GET", f"{path}/deliveries?state=dead&limit=2").json()
        assert len(dead["deliveries"]) == 2
        older = developer.call("GET", f"{path}/deliveries?state=dead&after={dead['next']}").json()
        assert (len(older["deliveries"]), older["next"]) == (1, None)
        one = developer.call("GET", f"{path}/deliveries/{older['deliveries'][0]['message_id']}").json()
        assert json.loads(one["body"])["type"] == "task.created"
        assert [(tried["number"], tried["status"]) for tried in one["tried"]] == [(1, 500)]
        assert one["tried"][0]["error"] == one["error"] == "It answered 500. the receiver  says <so>"
        again = developer.call("POST", f"{path}/deliveries/{one['message_id']}/replay")
        assert (again.status_code, again.json()["state"]) == (200, "pending")
        until(lambda: len(there.accepted) == 1)
        assert there.accepted[0].id == one["message_id"]
        until(lambda: developer.call("GET", path).json()["dead"] == 2)
        assert developer.call("POST", f"{path}/replay").json() == {"replayed": 2}
        until(lambda: len(there.accepted) == 3)
    page = developer.call("GET", f"{path}/deliveries?state=delivered").json()["deliveries"]
    assert [one["attempts"] for one in page] == [2, 2, 2]
    problem(developer.call("GET", f"{path}/deliveries/msg_none"), 404, "not-found")
    problem(developer.call("POST", f"{path}/deliveries/msg_none/replay"), 404, "not-found")
    problem(developer.call("GET", f"{path}/deliveries?state=lost"), 422, "invalid")


# --- the command line ------------------------------------------------------------------------------------


@pytest.fixture
def askance(developer: Service, monkeypatch: pytest.MonkeyPatch):
    """Runs a command against the service; gives what it prints, or raises what it refuses."""

    def connected(*_: object) -> Client:
        client = Client("http://testserver", developer.tokens["operator"])
        client._http.close()
        client._http = developer.client
        return client

    developer.client.headers["Authorization"] = f"Bearer {developer.tokens['operator']}"
    monkeypatch.setenv("ASKANCE_TOKEN", "secret")
    monkeypatch.setattr("serving.client.Client", connected)
    monkeypatch.setattr(Client, "close", lambda _self: None)

    def run(*arguments: str) -> str:
        done = CliRunner(env={"COLUMNS": "250"}).invoke(app, ["webhooks", *arguments])
        if isinstance(done.exception, AskanceError):
            raise done.exception
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


def test_an_endpoint_from_the_first_command_to_the_last(askance, developer: Service, there: Receiver) -> None:
    there.secret = askance("add", there.url, "-p", "shapes", "-t", "task.created", "-t", "cycle.finished").split()[-1]
    listed = askance("list")
    hook = re.search(r"hook_\w+", listed)[0]
    assert "shapes" in listed and there.url in listed and "whsec_" not in listed
    assert "it answered 204" in askance("test", hook)
    assert "prediction.reviewed" in askance("types")
    there.conduct = lambda _request, before: 204 if before else 500
    developer.predict(picture())
    with running(developer.services.dispatcher):
        until(lambda: "dead" in askance("deliveries", hook))
        message = re.search(r"msg_\w+", askance("deliveries", hook, "--state", "dead"))[0]
        assert "It answered 500" in askance("deliveries", hook, message)
        assert "1 are sent again" in askance("replay", hook, "--dead")
        until(lambda: "delivered" in askance("deliveries", hook))
        assert "is sent again" in askance("replay", hook, message)
        until(lambda: len(there.accepted) == 3)
    second = askance("rotate", hook).split()[-1]
    assert second.startswith("whsec_") and second != there.secret
    assert "all events; disabled: By operator." in askance("change", hook, "--all-types", "--disable")
    with pytest.raises(AskanceError, match="--enable"):
        askance("replay", hook, "--dead")
    assert "all events; enabled" in askance("change", hook, "--enable")
    assert "removed" in askance("remove", hook)
    assert hook not in askance("list")
    assert there.forged == []


def test_commands_that_make_no_sense_say_so(askance, there: Receiver) -> None:
    hook = re.search(r"hook_\w+", askance("add", there.url))[0]
    for wrong in (["change", hook], ["replay", hook], ["replay", hook, "msg_1", "--dead"]):
        with pytest.raises(AssertionError, match="Usage"):
            askance(*wrong)
    with pytest.raises(AssertionError, match="contradict"):
        askance("change", hook, "--all-types", "-t", "task.created")
    with pytest.raises(AskanceError, match="no events of the type"):
        askance("add", there.url, "-t", "nothing.happened")
    there.conduct = lambda _request, _before: 404
    with pytest.raises(AskanceError, match=r"did not arrive\. It answered 404"):
        askance("test", hook)


def test_the_page_about_webhooks_shows_each_type_as_it_is_sent() -> None:
    """docs/webhooks.md has every type with the data of its example."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "webhooks.md").read_text()
    for known in (*EVENT_TYPES.values(), PING):
        assert f"### `{known.name}`" in page
        assert known.says in page
        assert json.dumps(known.example) in page


def block(language: str) -> str:
    page = (Path(__file__).resolve().parents[2] / "docs" / "webhooks.md").read_text()
    return page.split(f"```{language}\n")[1].split("```")[0]


def test_the_receiver_of_the_page_believes_what_is_signed(
    developer: Service, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And prints each event once, and refuses what another secret signed."""
    made = create(developer, "http://127.0.0.1:1/")
    monkeypatch.setenv("WEBHOOK_SECRET", made["secret"])
    scope: dict[str, type] = {"__name__": "page"}
    exec(compile(block("python"), "docs/webhooks.md", "exec"), scope)
    monkeypatch.setattr(scope["Hook"], "log_message", lambda *_: None)
    server = scope["ThreadingHTTPServer"](("127.0.0.1", 0), scope["Hook"])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        developer.call("PATCH", f"{HOOKS}/{made['id']}", json={"url": url})
        assert developer.call("POST", f"{HOOKS}/{made['id']}/test").json()["status"] == 204
        assert capsys.readouterr().out == f"ping {{'endpoint_id': '{made['id']}'}}\n"
        other = create(developer, url)
        assert developer.call("POST", f"{HOOKS}/{other['id']}/test").json()["status"] == 401
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_openssl_computes_the_signature_as_the_page_says(developer: Service, there: Receiver, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        missing("openssl")
    made = create(developer, there.url)
    developer.call("POST", f"{HOOKS}/{made['id']}/test")
    (got,) = there.received
    (tmp_path / "body.json").write_text(got.body)
    kept = {"secret": made["secret"], "id": got.id, "timestamp": got.headers["webhook-timestamp"]}
    done = subprocess.run(
        ["bash", "-c", block("bash")],
        cwd=tmp_path,
        env={**os.environ, **kept},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"v1,{done.stdout.strip()}" == got.headers["webhook-signature"]
