"""The gateway under pressure: deadlines, rates, callers who leave, canaries that fail, shadows that watch."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
from fastapi.testclient import TestClient

from loop.domain.errors import AskanceError, DeadlinePassed, ModelTimedOut, Overloaded, Unavailable
from loop.domain.model import ModelVersion
from loop.domain.prediction import Timed
from loop.settings import load_settings
from serving.api.app import create_app
from tests.api.conftest import LABELS, InProcess, files_of_images, picture
from tests.api.test_models_and_cycles import add, champion
from tests.api.test_predictions import problem
from tests.tiny_models import tiny_weights

OTHER = tiny_weights(tuple(LABELS), seed=1)


def summary(service) -> dict:
    return service.call("GET", "/v1/projects/shapes/summary").json()


def started(service, kind: str, share: float = 1.0) -> str:
    """Another model beside the champion, taking its share; its id."""
    model = add(service, OTHER).json()["id"]
    body = {"kind": kind, "model_id": model, "share": share, "reason": "a test"}
    asked = service.call("POST", "/v1/projects/shapes/rollouts", json=body)
    assert asked.status_code in (200, 201, 202), asked.text
    (queued,) = service.services.succession.due(())
    service.services.succession.settle_rollout(queued, deploy=lambda _model: None)
    return model


def only_it_fails(monkeypatch: pytest.MonkeyPatch, model_id: str, error: AskanceError) -> None:
    """One model raises this, whatever it is asked; the others answer."""
    whole = InProcess.infer

    async def infer(self, model: ModelVersion, content: bytes, deadline: float) -> Timed:
        if model.id == model_id:
            raise error
        return await whole(self, model, content, deadline)

    monkeypatch.setattr(InProcess, "infer", infer)


def rollout(service) -> dict:
    return service.call("GET", "/v1/projects/shapes/models").json()["rollouts"][0]


# --- deadlines and callers who leave -----------------------------------------------------------------


def test_a_deadline_that_passed_is_504_and_leaves_nothing(service, monkeypatch):
    """What is not answered in the time that the caller gives is not kept, and the key may be used again."""

    async def never(self, model: ModelVersion, content: bytes, deadline: float) -> Timed:
        await asyncio.sleep(max(0.0, deadline - asyncio.get_running_loop().time()))
        raise_late()

    def raise_late():
        from loop.domain.errors import DeadlinePassed

        raise DeadlinePassed("too late.", hint="Allow more time.")

    key = {"Idempotency-Key": "a"}
    with monkeypatch.context() as patched:
        patched.setattr(InProcess, "infer", never)
        problem(service.predict(picture(), headers=key, params={"timeout": 0.01}), 504, "deadline-passed")
    assert summary(service)["predictions"] == 0
    assert service.predict(picture(1), headers=key).status_code == 200


@pytest.mark.parametrize("seconds", ["nan", "inf", "-inf", "soon"])
def test_a_timeout_is_a_number_of_seconds(service, seconds):
    problem(service.predict(picture(), params={"timeout": seconds}), 422, "invalid")
    assert service.inferencer.calls == 0


def test_an_image_that_does_not_arrive_in_time_is_504(service):
    """And has its room no more: what is on its way takes as much memory as what is there."""
    gateway = service.client.app.state.gateway
    held: list[int] = []
    sent: list[dict] = []

    async def slowly():
        async def receive():
            held.append(gateway.room._held)
            if len(held) > 1:
                await asyncio.sleep(60)
            return {"type": "http.request", "body": b"x", "more_body": True}

        async def send(message):
            sent.append(message)

        headers = [
            (b"authorization", f"Bearer {service.tokens['producer']}".encode()), (b"content-length", b"5000")
        ]  # fmt: skip
        scope = {
            "type": "http", "method": "POST", "path": "/v1/projects/shapes/predictions", "query_string": b"timeout=0.2",
            "headers": headers, "asgi": {}, "raw_path": b"", "root_path": "", "scheme": "http",
            "http_version": "1.1", "state": {},
        }  # fmt: skip
        await service.client.app(scope, receive, send)

    service.client.portal.call(slowly)
    assert sent[0]["status"] == 504
    assert held == [5000, 5000] and gateway.room._held == 0


def test_images_on_their_way_find_room_before_they_are_read(service):
    """One that does not say how large it is counts as the largest until it is there."""
    room, most = service.client.app.state.gateway.room, service.services.settings.limits
    with room.taken("other", most.max_waiting_bytes - 5_000):
        problem(service.predict(iter([picture()])), 503, "overloaded")
        assert service.predict(picture()).status_code in (200, 503)
    assert service.predict(iter([picture()])).status_code == 200
    assert room._held == 0


@pytest.mark.parametrize("seconds", [0, -1])
def test_no_time_at_all_is_504_at_once(service, seconds):
    """Nothing is computed for it."""
    problem(service.predict(picture(), params={"timeout": seconds}), 504, "deadline-passed")
    assert service.inferencer.calls == 0


def test_a_caller_who_hangs_up_is_not_computed(service, monkeypatch):
    """The inference is cancelled and nothing is written."""
    begun, cancelled = threading.Event(), threading.Event()

    async def slow(self, model: ModelVersion, content: bytes, deadline: float) -> Timed:
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        raise AssertionError("nobody waited")

    monkeypatch.setattr(InProcess, "infer", slow)
    app = service.client.app
    body = picture()
    sent: list[dict] = []

    async def hang_up():
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive():
            if messages:
                return messages.pop()
            await asyncio.to_thread(begun.wait, 60)
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)

        scope = {
            "type": "http", "method": "POST", "path": "/v1/projects/shapes/predictions", "query_string": b"",
            "headers": [(b"authorization", f"Bearer {service.tokens['producer']}".encode())], "asgi": {},
            "raw_path": b"", "root_path": "", "scheme": "http", "http_version": "1.1", "state": {},
        }  # fmt: skip
        await app(scope, receive, send)

    service.client.portal.call(hang_up)
    assert cancelled.wait(60)
    assert sent[0]["status"] == 499
    assert summary(service)["predictions"] == 0
    assert files_of_images(service) == []


# --- keys while the database is busy -------------------------------------------------------------------


@contextmanager
def database_busy(service) -> Iterator[None]:
    """Somebody writes, for as long as the block takes."""
    with ThreadPoolExecutor(1) as thread:
        writes, may_end = threading.Event(), threading.Event()

        def write() -> None:
            with service.services.store.begin():
                writes.set()
                may_end.wait(60)

        writing = thread.submit(write)
        assert writes.wait(30)
        try:
            yield
        finally:
            may_end.set()
            writing.result(30)


def keyed(service, key: str, timeout: float = 20.0):
    return service.predict(picture(), headers={"Idempotency-Key": key}, params={"timeout": timeout})


def test_a_key_waits_for_the_database_no_longer_than_its_caller(service):
    """504 by the deadline, nothing computed and nothing kept: the key may be used again at once."""
    with database_busy(service):
        begun = time.monotonic()
        problem(keyed(service, "a", timeout=0.3), 504, "deadline-passed")
        assert time.monotonic() - begun < 5
        assert service.inferencer.calls == 0
    answer = keyed(service, "a")
    assert answer.status_code == 200 and "Idempotent-Replayed" not in answer.headers
    assert summary(service)["predictions"] == 1


def test_keys_that_wait_for_the_database_hold_up_nobody_else(service):
    """However many: whoever only reads is answered meanwhile."""
    with ThreadPoolExecutor(60) as threads:
        with database_busy(service):
            waiting = [threads.submit(keyed, service, str(number)) for number in range(60)]
            time.sleep(1.0)
            begun = time.monotonic()
            assert summary(service)["predictions"] == 0
            assert time.monotonic() - begun < 5
        assert {answer.result(60).status_code for answer in waiting} == {200}


def test_a_key_that_cannot_be_given_back_does_not_keep_its_caller(service, monkeypatch):
    """The inference fails while the database is busy: that is answered, and the key is given back when it can be."""
    reached, may_fail = threading.Event(), threading.Event()

    async def fails(self, model: ModelVersion, content: bytes, deadline: float) -> Timed:
        reached.set()
        await asyncio.to_thread(may_fail.wait, 30)
        raise Unavailable("the detector failed.", hint="Try again.")

    with ThreadPoolExecutor(1) as thread, monkeypatch.context() as patched:
        patched.setattr(InProcess, "infer", fails)
        asked = thread.submit(keyed, service, "a")
        assert reached.wait(30)
        with database_busy(service):
            may_fail.set()
            assert problem(asked.result(10), 503, "unavailable")["detail"] == "the detector failed."
    assert _once_free(lambda: keyed(service, "a")).status_code == 200


def test_a_claim_that_comes_too_late_is_given_back(service, monkeypatch):
    """Its commit had begun when its caller's time was over: the caller is told that nothing is kept, and so it is."""
    whole = type(service.services.store).begin
    slow = threading.Event()
    slow.set()

    @contextmanager
    def begin(self):
        with whole(self) as tx:
            yield tx
            if slow.is_set():
                time.sleep(1.0)

    monkeypatch.setattr(type(service.services.store), "begin", begin)
    begun = time.monotonic()
    problem(keyed(service, "a", timeout=0.3), 504, "deadline-passed")
    assert time.monotonic() - begun < 0.9
    slow.clear()
    assert _once_free(lambda: keyed(service, "a")).status_code == 200


def _once_free(ask: Callable[[], httpx.Response]) -> httpx.Response:
    """The answer as soon as the key is not another request's any more; long before it would be by itself."""
    until = time.monotonic() + 20
    while (answer := ask()).status_code == 409 and time.monotonic() < until:
        time.sleep(0.1)
    return answer


# --- readiness --------------------------------------------------------------------------------------------


def test_however_many_ask_whether_it_is_ready_it_is_looked_at_once(service):
    """Without a token, so that it costs nobody's inference but one in two seconds."""
    for _ in range(20):
        answer = service.call("GET", "/readyz", None)
        assert answer.status_code == 200
        assert answer.json()["models"] == {"shapes": champion(service)}
    assert service.inferencer.calls == 1


def test_a_model_that_is_busy_is_ready_and_one_that_fails_is_not(service, monkeypatch):
    """It is looked at anew once what was seen is old."""

    async def fails(self, model: ModelVersion, content: bytes, deadline: float) -> Timed:
        raise failure

    monkeypatch.setattr(InProcess, "infer", fails)
    monkeypatch.setattr("serving.api.readiness._FRESH_SECONDS", -1.0)
    failure = Overloaded("256 requests wait already.", hint="Send it again a little later.")
    assert service.call("GET", "/readyz", None).status_code == 200
    failure = Unavailable("the model is gone.", hint="See the log.")
    assert problem(service.call("GET", "/readyz", None), 503, "unavailable")["detail"] == "the model is gone."


# --- overload --------------------------------------------------------------------------------------------


def test_overload_is_503_with_retry_after(service, monkeypatch):
    """The caller is told when to come again."""

    async def full(self, model: ModelVersion, content: bytes, deadline: float) -> Timed:
        raise Overloaded("256 requests wait already.", hint="Send it again a little later.")

    monkeypatch.setattr(InProcess, "infer", full)
    response = service.predict(picture())
    problem(response, 503, "overloaded")
    assert int(response.headers["Retry-After"]) >= 1
    assert summary(service)["predictions"] == 0


def test_one_token_may_not_ask_for_more_than_its_rate(service, tmp_path):
    """429 with Retry-After for that token; another token is served."""
    environ = {
        "ASKANCE_DATA_DIR": str(tmp_path),
        "ASKANCE_LIMITS__REQUESTS_PER_SECOND": "0.01",
        "ASKANCE_LIMITS__BURST": "2",
    }
    from dataclasses import replace

    limited = create_app(replace(service.services, settings=load_settings(environ=environ)))
    with TestClient(limited) as client:

        def predict(role: str):
            headers = {"Authorization": f"Bearer {service.tokens[role]}"}
            return client.post("/v1/projects/shapes/predictions", content=picture(), headers=headers)

        assert [predict("producer").status_code for _ in range(2)] == [200, 200]
        refused = predict("producer")
        problem(refused, 429, "too-many-requests")
        assert 1 <= int(refused.headers["Retry-After"]) <= 100
        assert predict("operator").status_code == 200


# --- canary and shadow -------------------------------------------------------------------------------------


def test_a_canary_answers_its_share(service):
    """At share 1 all; every answer names the model that gave it."""
    before = champion(service)
    canary = started(service, "canary")
    answer = service.predict(picture()).json()
    assert (answer["model_id"], champion(service)) == (canary, before)


def test_a_canary_that_fails_is_covered_and_taken_back(service, monkeypatch):
    """Callers get the champion's answer, and after a few failures the canary takes no more traffic."""
    before = champion(service)
    canary = started(service, "canary")
    only_it_fails(
        monkeypatch, canary, Unavailable("the model answered with values that are not finite.", hint="Roll back.")
    )
    answers = [service.predict(picture(seed)) for seed in range(8)]
    assert [answer.status_code for answer in answers] == [200] * 8
    assert {answer.json()["model_id"] for answer in answers} == {before}
    taken_back = rollout(service)
    assert taken_back["state"] == "rolled_back"
    assert "failed" in taken_back["error"]


def test_a_caller_in_a_hurry_does_not_bring_a_canary_down(service, monkeypatch):
    """Who gives a model no time to answer learns nothing of it; one that has had its time and does not answer is at
    fault."""
    canary = started(service, "canary")
    only_it_fails(monkeypatch, canary, DeadlinePassed("too late.", hint="Allow more time."))
    assert {service.predict(picture(seed)).status_code for seed in range(20)} == {200}
    assert rollout(service)["state"] == "active"
    monkeypatch.setattr("serving.api.rollout_traffic._LONG_SECONDS", 0.0)
    assert {service.predict(picture(seed)).status_code for seed in range(8)} == {200}
    assert rollout(service)["state"] == "rolled_back"


def test_a_canary_that_does_not_keep_its_own_time_is_taken_back(service, monkeypatch):
    """However short that is: its caller was in no hurry."""
    canary = started(service, "canary")
    only_it_fails(monkeypatch, canary, ModelTimedOut("it did not answer within its 0.1 s.", hint="Try again."))
    for _ in range(10):
        assert service.predict(picture()).json()["model_id"] == champion(service)
    assert rollout(service)["state"] == "rolled_back"


def test_a_canary_is_not_taken_back_where_the_champion_fails_as_often(service, monkeypatch):
    """The fault is elsewhere then: in the machine, or in what is sent."""
    started(service, "canary", share=0.5)
    limits = rollout(service)["limits"]
    seen: list[str] = []

    async def broken(self, model: ModelVersion, content: bytes, deadline: float) -> Timed:
        seen.append(model.id)
        raise Unavailable("the disk is gone.", hint="Mend it.")

    traffic = service.client.app.state.gateway._rollouts
    monkeypatch.setattr(traffic, "takes", lambda *_: False)
    monkeypatch.setattr(InProcess, "infer", broken)
    for seed in range(limits["min_requests"]):
        assert service.predict(picture(seed)).status_code == 503
    monkeypatch.undo()
    monkeypatch.setattr(InProcess, "infer", broken)
    for seed in range(12):
        assert service.predict(picture(seed)).status_code == 503
    assert len(set(seen)) == 2
    assert rollout(service)["state"] == "active"


def test_a_shadow_answers_for_itself_only(service):
    """Callers get the champion's answer; the shadow's is kept beside it."""
    before = champion(service)
    started(service, "shadow")
    answers = [service.predict(picture(seed)).json() for seed in range(3)]
    assert {answer["model_id"] for answer in answers} == {before}
    service.client.portal.call(service.client.app.state.gateway._rollouts.close)
    kept = service.call("GET", f"/v1/projects/shapes/rollouts/{rollout(service)['id']}/answers").json()["answers"]
    assert {answer["prediction_id"] for answer in kept} == {answer["id"] for answer in answers}
    assert all(answer["seconds"] > 0 and not answer["error"] for answer in kept)
    # The tests' inferencer runs the same network for every model: a shadow that sees the same says the same.
    assert all(answer["differences"] == {} for answer in kept)


# --- what is kept --------------------------------------------------------------------------------------------


def test_an_image_that_was_not_kept_says_so(service):
    """The prediction is there, its image is not, by the project's own policy."""
    changes = {"threshold": 1.0, "audit_rate": 0.0, "retain": "none"}
    assert service.call("PATCH", "/v1/projects/shapes/policy", json=changes).json()["retain"] == "none"
    answer = service.predict(picture()).json()
    assert files_of_images(service) == []
    item = f"/v1/projects/shapes/items/{answer['item_digest']}"
    assert service.call("GET", item).json()["prediction"]["id"] == answer["id"]
    said = problem(service.call("GET", f"{item}/image"), 404, "not-found")
    assert "not kept" in said["detail"]
