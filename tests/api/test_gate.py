"""Calls that wait for a person, over HTTP."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest

from loop.store.gates import SqlGates
from tests.api.conftest import Service, picture
from tests.api.test_predictions import problem
from tests.api.test_review import BOX, leased, submit

LONG = 20  # seconds; a test that waits so long has failed


@pytest.fixture
def gated(service: Service) -> Service:
    """Everything needs a person, nothing is drawn for audits, and tasks are handed out to the last second."""
    policy(service, audit_rate=0.0, gate={"min_review_seconds": 0})
    return service


@pytest.fixture
def callers() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def policy(service: Service, **changes: object) -> dict:
    changed = service.call("PATCH", "/v1/projects/shapes/policy", json=changes)
    assert changed.status_code == 200, changed.text
    return changed.json()


def until(met: Callable[[], object]) -> None:
    deadline = time.monotonic() + LONG
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def calls(service: Service) -> int:
    """That wait at this moment."""
    return service.client.app.state.gateway.waiting._count


def waiting(service: Service, callers: ThreadPoolExecutor, seed: int = 0, **request) -> Future:
    """A call that waits for a person by now."""
    before = calls(service)
    request.setdefault("params", {"wait": 10 * LONG})  # so that no test takes the deadline for an answer
    call = callers.submit(service.predict, picture(seed), **request)
    until(lambda: calls(service) > before or call.done())
    assert not call.done(), call.result().text
    return call


def stored(service: Service, prediction_id: str, **params: object) -> dict:
    return service.call("GET", f"/v1/projects/shapes/predictions/{prediction_id}", params=params).json()


def summary(service: Service) -> dict:
    return service.call("GET", "/v1/projects/shapes/summary").json()


# --- what a waiting call gets ---------------------------------------------------------------------------


def test_a_call_that_waits_gets_what_the_person_says(gated, callers):
    """As soon as it is said, and in the very body that GET gives."""
    call = waiting(gated, callers)
    (task,) = leased(gated)
    assert submit(gated, task, [BOX]).status_code == 200
    body = call.result(LONG).json()
    assert (body["status"], body["withheld"], body["provisional_because"]) == ("final", False, None)
    assert body["truth"]["shapes"] == [BOX]
    assert body["corrections"]
    assert body["task_state"] == "done"
    assert body == stored(gated, body["id"])


def test_what_needs_no_person_is_answered_at_once(gated):
    """However long its caller would wait."""
    policy(gated, threshold=1.0)
    body = gated.predict(picture(), params={"wait": LONG}).json()
    assert (body["status"], body["decision"]["action"]) == ("final", "accept")


def test_an_audit_does_not_slow_its_caller(gated):
    """What would have been accepted is final at once, and its task tells nobody of a caller."""
    policy(gated, threshold=1.0, audit_rate=1.0)
    body = gated.predict(picture(), params={"wait": LONG}).json()
    assert (body["status"], body["decision"]["stage"]) == ("final", "audit")
    (task,) = leased(gated)
    assert task["answer_by"] is None


def test_an_audit_that_is_risky_waits(gated, callers):
    """Its caller needs the person all the same."""
    policy(gated, audit_rate=1.0)
    call = waiting(gated, callers)
    (task,) = leased(gated)
    assert task["answer_by"] is not None
    submit(gated, task, [])
    assert call.result(LONG).json()["status"] == "final"


@pytest.mark.parametrize("fallback", ["flag", "withhold"])
def test_who_gets_no_answer_in_time_gets_the_fallback(gated, fallback):
    """flag: what the model says, marked; withhold: none of it. The task stays, and the answer comes later."""
    policy(gated, gate={"fallback": fallback}, score_threshold=0.0001)
    body = gated.predict(picture(), params={"wait": 0.2}).json()
    assert (body["status"], body["provisional_because"]) == ("provisional", "unanswered")
    assert (body["withheld"], body["detections"] == []) == ((fallback == "withhold"),) * 2
    gated.services.gates.put_back()
    (task,) = leased(gated)
    submit(gated, task, [BOX])
    later = stored(gated, body["id"], wait=LONG)
    assert (later["status"], later["truth"]["shapes"], later["withheld"]) == ("final", [BOX], False)
    assert later["detections"]


def test_the_fallback_can_be_an_error(gated):
    """504 of a type of its own, with the prediction's id and how to wait on."""
    policy(gated, gate={"fallback": "error"})
    body = problem(gated.predict(picture(), params={"wait": 0.2}), 504, "review-pending")
    assert "?wait=" in body["hint"]
    assert stored(gated, body["ids"]["prediction"])["status"] == "provisional"
    assert summary(gated)["tasks"]["open"] == 1


def test_a_task_that_nobody_can_do_ends_the_wait(gated, callers):
    """At once, with the fallback and the reason; who asks again is told so at once, too."""
    call = waiting(gated, callers, headers={"Idempotency-Key": "one"})
    (task,) = leased(gated)
    gated.call(
        "POST", f"/v1/tasks/{task['id']}/skip", "reviewer", json={"epoch": task["epoch"], "reason": "too dark to tell"}
    )
    body = call.result(LONG).json()
    assert (body["status"], body["provisional_because"]) == ("provisional", "skipped")
    assert stored(gated, body["id"], wait=LONG)["provisional_because"] == "skipped"
    policy(gated, gate={"fallback": "error"})
    again = gated.predict(picture(), headers={"Idempotency-Key": "one"}, params={"wait": LONG})
    assert problem(again, 504, "review-pending")["ids"]["because"] == "skipped"


def test_one_answer_of_two_is_not_final(gated, callers):
    """Where two people answer, the wait ends when both did and it settled the truth."""
    policy(gated, queue={"people": {"annotate": 2}})
    gated.tokens["second"] = gated.call("POST", "/v1/tokens", json={"name": "b", "role": "reviewer"}).json()["secret"]
    call = waiting(gated, callers)
    (task,) = leased(gated)
    submit(gated, task, [BOX])
    prediction = gated.call("GET", "/v1/projects/shapes/predictions").json()["predictions"][0]
    assert (prediction["status"], call.done()) == ("provisional", False)
    (other,) = gated.call("POST", "/v1/projects/shapes/tasks/lease", "second", json={"count": 1}).json()["tasks"]
    submit(gated, other, [BOX], role="second")
    assert call.result(LONG).json()["status"] == "final"


def test_an_answer_that_another_person_looks_at_is_not_final(gated, callers):
    """With QA, the wait goes on until that person accepts it; that task is in the same hurry."""
    policy(gated, workflow={"qa": "all"})
    gated.tokens["second"] = gated.call("POST", "/v1/tokens", json={"name": "b", "role": "reviewer"}).json()["secret"]
    call = waiting(gated, callers)
    (task,) = leased(gated)
    submit(gated, task, [BOX])
    (judging,) = gated.call("POST", "/v1/projects/shapes/tasks/lease", "second", json={"count": 1}).json()["tasks"]
    assert (judging["stage"], judging["answer_by"]) == ("qa", task["answer_by"])
    assert not call.done()
    (prediction,) = gated.call("GET", "/v1/projects/shapes/predictions").json()["predictions"]
    so_far = gated.call("GET", f"/v1/projects/shapes/predictions/{prediction['id']}").json()
    assert so_far["provisional_because"] == "unsettled"
    gated.call("POST", f"/v1/tasks/{judging['id']}/accept", "second", json={"epoch": judging["epoch"]})
    assert call.result(LONG).json()["truth"]["shapes"] == [BOX]


# --- what a caller may ask ----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_wait_that_cannot_be_is_refused(gated, method):
    """422 that says what can be; nothing is computed."""
    path = "/v1/projects/shapes/predictions" + ("/pred_1" if method == "GET" else "")
    for wait in ("-1", "nan", "inf", "-inf", "300.5", "1e308", "soon"):
        problem(gated.call(method, path, content=picture(), params={"wait": wait}), 422, "invalid")
    assert summary(gated)["predictions"] == 0


def test_a_caller_may_ask_for_a_person(gated, callers):
    """Whatever the risk: a person looks, for certain, and the reason says who asked."""
    policy(gated, threshold=1.0)
    decision = gated.predict(picture(), params={"review": "always"}).json()["decision"]
    assert [reason["code"] for reason in decision["reasons"]] == ["review-requested"]
    assert (decision["stage"], decision["inclusion_probability"]) == ("annotate", 1.0)
    call = waiting(gated, callers, seed=1, params={"review": "always", "wait": 10 * LONG})
    for task in leased(gated, 2):
        submit(gated, task, [])
    assert call.result(LONG).json()["status"] == "final"


def test_a_caller_may_need_no_person(gated):
    """Accepted whatever the risk, and at once; the audit lottery still draws, with its own probability."""
    body = gated.predict(picture(), params={"review": "never", "wait": LONG}).json()
    assert [reason["code"] for reason in body["decision"]["reasons"]] == ["review-declined"]
    assert (body["status"], body["decision"]["action"], body["task_id"]) == ("final", "accept", None)
    policy(gated, audit_rate=1.0)
    audit = gated.predict(picture(1), params={"review": "never", "wait": LONG}).json()
    assert (audit["status"], audit["decision"]["stage"]) == ("final", "audit")


def test_rules_that_cannot_be_are_refused(gated):
    """And what is left out stays."""
    assert policy(gated, gate={"max_wait_seconds": 20})["gate"] == {
        "fallback": "flag", "max_wait_seconds": 20, "min_review_seconds": 0,
    }  # fmt: skip
    for bad in ({"max_wait_seconds": 0}, {"max_wait_seconds": 1e9}, {"min_review_seconds": -1}, {"fallback": "hope"}):
        problem(gated.call("PATCH", "/v1/projects/shapes/policy", json={"gate": bad}), 422, "invalid")
    problem(gated.predict(picture(), params={"wait": 21}), 422, "invalid")


# --- keys -------------------------------------------------------------------------------------------------


def test_a_retry_joins_the_wait(gated, callers):
    """While the first waits and after it has given up: the same prediction, the same one task, and one answer for
    both. How long a call waits is no part of what the key stands for; whether a person looks is."""
    key = {"Idempotency-Key": "one"}
    early = gated.predict(picture(), headers=key, params={"wait": 0.2}).json()
    first = waiting(gated, callers, headers=key)
    second = waiting(gated, callers, headers=key, params={"wait": 5 * LONG})
    problem(gated.predict(picture(), headers=key, params={"review": "always"}), 422, "idempotency-mismatch")
    (task,) = leased(gated, 5)
    submit(gated, task, [BOX])
    bodies = [call.result(LONG).json() for call in (first, second)]
    assert {body["id"] for body in bodies} == {early["id"]}
    assert [body["status"] for body in bodies] == ["final", "final"]
    assert summary(gated)["predictions"] == 1


def test_a_retry_puts_the_task_in_a_hurry_again(gated, callers):
    """What went back to the ordinary queue is before all others while somebody waits for it again."""
    key = {"Idempotency-Key": "one"}
    late = gated.predict(picture(), headers=key, params={"wait": 0.2}).json()
    gated.predict(picture(1))
    assert gated.services.gates.put_back() == 1
    call = waiting(gated, callers, headers=key)
    (task,) = leased(gated)
    assert (task["id"], task["answer_by"] is not None) == (late["task_id"], True)
    submit(gated, task, [])
    assert call.result(LONG).json()["status"] == "final"


def test_a_heartbeat_says_that_a_caller_waits_who_came_since(gated, callers):
    """For work that was begun before anybody waited for it."""
    key = {"Idempotency-Key": "one"}
    gated.predict(picture(), headers=key)
    (task,) = leased(gated)
    assert task["answer_by"] is None
    call = waiting(gated, callers, headers=key)

    def told():
        path = f"/v1/tasks/{task['id']}/heartbeat"
        return gated.call("POST", path, "reviewer", json={"epoch": task["epoch"]}).json()["answer_by"]

    until(lambda: told() is not None)
    submit(gated, task, [])
    assert call.result(LONG).json()["status"] == "final"


# --- many, and those who leave --------------------------------------------------------------------------------


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many predictions each look asks for."""
    looks: list[int] = []
    whole = SqlGates.endings

    def endings(self: SqlGates, ids):
        if threading.current_thread().name.startswith("waiting"):
            looks.append(len(ids))
        return whole(self, ids)

    with monkeypatch.context() as patched:
        patched.setattr(SqlGates, "endings", endings)
        yield looks


async def asked(service: Service, method: str, path: str, query: str, receive) -> list[dict]:
    """A call on the application's own loop, without a thread."""
    sent: list[dict] = []

    async def send(message: dict) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": method, "path": path, "query_string": query.encode(), "asgi": {}, "raw_path": b"",
        "headers": [(b"authorization", f"Bearer {service.tokens['producer']}".encode())], "root_path": "",
        "scheme": "http", "http_version": "1.1", "state": {},
    }  # fmt: skip
    await service.client.app(scope, receive, send)
    return sent


def test_all_that_wait_are_looked_for_together(gated, monkeypatch):
    """300 calls for 30 predictions: no thread for any, one query a look for all, none when nobody waits."""
    predictions = [gated.predict(picture(seed)).json() for seed in range(30)]
    before, most = threading.active_count(), []

    def stays() -> Callable[[], Awaitable[dict]]:
        messages = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> dict:
            if messages:
                return messages.pop()
            await asyncio.sleep(LONG)
            return {"type": "http.disconnect"}

        return receive

    async def everybody() -> list[list[dict]]:
        paths = [f"/v1/projects/shapes/predictions/{p['id']}" for p in predictions]
        together = [
            asyncio.ensure_future(asked(gated, "GET", path, f"wait={LONG}", stays()))
            for path in paths
            for _ in range(10)
        ]
        async with asyncio.timeout(LONG):
            while calls(gated) < 300:
                await asyncio.sleep(0.01)
        most.append(threading.active_count())
        looks.clear()
        await asyncio.sleep(1.0)
        assert 1 <= len(looks) <= 10
        assert set(looks) == {30}
        await asyncio.to_thread(answer_all)
        return await asyncio.gather(*together)

    def answer_all() -> None:
        while tasks := leased(gated, 20):
            for task in tasks:
                submit(gated, task, [BOX])

    with counted(monkeypatch) as looks:
        answers = gated.client.portal.call(everybody)
        assert [sent[0]["status"] for sent in answers] == [200] * 300
        assert all(b'"status":"final"' in sent[1]["body"] for sent in answers)
        until(lambda: gated.client.app.state.gateway.waiting._watch is None)
        looks.clear()
        time.sleep(0.5)
        assert looks == []
    assert most[0] - before <= 45  # those that read, of a pool of forty


def test_a_caller_who_hangs_up_waits_no_more(gated):
    """At once; the prediction and its task stay, in their hurry, since it may come again with its key."""
    left = asyncio.Event()
    body = picture()

    async def hang_up() -> list[dict]:
        messages = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict:
            if messages:
                return messages.pop()
            await left.wait()
            return {"type": "http.disconnect"}

        path, query = "/v1/projects/shapes/predictions", f"wait={LONG}"
        call = asyncio.ensure_future(asked(gated, "POST", path, query, receive))
        async with asyncio.timeout(LONG):
            while calls(gated) == 0:
                await asyncio.sleep(0.01)
        left.set()
        return await asyncio.wait_for(call, LONG / 2)

    assert gated.client.portal.call(hang_up)[0]["status"] == 499
    until(lambda: calls(gated) == 0)
    (task,) = leased(gated)
    assert task["answer_by"] is not None


def test_who_waits_takes_no_room_from_others(gated, callers):
    """Neither the requests of the project nor the bytes of images are counted while a call waits for a person."""
    call = waiting(gated, callers)
    room = gated.client.app.state.gateway.room
    assert (room._held, dict(room._inside)) == (0, {})
    (task,) = leased(gated)
    submit(gated, task, [])
    call.result(LONG)


def test_no_more_calls_wait_than_may(gated, callers):
    """More get 503 with when to come again, before anything is computed; calls that do not wait are served."""
    gated.client.app.state.gateway.waiting._most = 1
    call = waiting(gated, callers)
    refused = gated.predict(picture(1), params={"wait": LONG})
    problem(refused, 503, "overloaded")
    assert refused.headers["Retry-After"]
    assert gated.predict(picture(2)).status_code == 200
    for task in leased(gated, 2):
        submit(gated, task, [])
    assert call.result(LONG).status_code == 200


@pytest.mark.parametrize("how", ["another process says so", "this gateway closes"])
def test_a_service_that_ends_sends_callers_home_with_the_fallback(gated, callers, how):
    """Not with an error; what they asked for is kept."""
    call = waiting(gated, callers)
    if how == "this gateway closes":
        gated.client.portal.call(gated.client.app.state.gateway.waiting.close)
    else:
        gated.services.gates.set_closing(closing=True)
    answer = call.result(LONG)
    assert (answer.status_code, answer.json()["status"]) == (200, "provisional")
    gated.services.gates.set_closing(closing=False)
    assert summary(gated)["tasks"]["open"] == 1


def test_a_store_that_is_away_ends_no_wait(gated, callers, monkeypatch):
    """Who waits goes on waiting, and gets the answer when it is back."""
    call = waiting(gated, callers)
    gone = threading.Event()
    whole = SqlGates.endings

    def endings(self: SqlGates, ids):
        if threading.current_thread().name.startswith("waiting") and not gone.is_set():
            gone.set()
            raise RuntimeError("away")
        return whole(self, ids)

    monkeypatch.setattr(SqlGates, "endings", endings)
    assert gone.wait(LONG)
    (task,) = leased(gated)
    submit(gated, task, [])
    assert call.result(LONG).json()["status"] == "final"


# --- the reviewers' side ------------------------------------------------------------------------------------


def test_a_task_that_somebody_waits_for_comes_first_and_says_until_when(gated, callers):
    """Before all others of the batch, also before those that the person holds already."""
    for seed in range(3):
        gated.predict(picture(seed))
    held = {task["id"] for task in leased(gated, 2)}
    asked_at = datetime.now().astimezone()
    call = waiting(gated, callers, seed=9)
    tasks = leased(gated, 4)
    assert len(tasks) == 4
    assert tasks[0]["id"] not in held
    answer_by = datetime.fromisoformat(tasks[0]["answer_by"])
    assert asked_at < answer_by <= asked_at + timedelta(seconds=11 * LONG)
    assert [task["answer_by"] for task in tasks[1:]] == [None] * 3
    submit(gated, tasks[0], [])
    assert call.result(LONG).json()["status"] == "final"


def test_there_is_no_hurry_where_the_time_is_too_short_for_a_person(gated):
    """The task is an ordinary one from the beginning."""
    policy(gated, gate={"min_review_seconds": 10})
    body = gated.predict(picture(), params={"wait": 0.2}).json()
    assert body["status"] == "provisional"
    (task,) = leased(gated)
    assert task["answer_by"] is None
