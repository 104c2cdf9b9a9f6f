"""The client that other programs use, against the real application and a server that misbehaves before it.

What is said of a call is said of both clients: `both` runs each test with one that blocks and one for asyncio.
"""

import asyncio
import inspect
import io
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import askance.client
from askance.client import ApiError, AsyncClient, Client, Retries, ServiceUnreachable, ShapeIO
from loop.domain.errors import BadImage
from serving.client.calls import Method, StreamMethod
from serving.client.pictures import encoded
from tests.api.conftest import Service, listening, picture
from tests.clips import pictures, video
from tests.flaky import HANG, LOSE, RESET, Flaky, flaky

BUSY = (503, {"Retry-After": "0"})
# Enough for what a test lets fail, and without long pauses.
QUICK = Retries(times=4, deadline_s=20.0, first_wait_s=0.01)


class Blocking:
    """Calls of a `Client`."""

    kind = Client

    def __call__(self, made: dict[str, Any], name: str, *args: Any, **kwargs: Any) -> Any:
        with Client(**made) as client:
            return getattr(client, name)(*args, **kwargs)

    def some(self, made: dict[str, Any], count: int, name: str, *args: Any, **kwargs: Any) -> list[Any]:
        """The first values of a stream."""
        with Client(**made) as client:
            return list(islice(getattr(client, name)(*args, **kwargs), count))


class Awaiting(Blocking):
    """Calls of an `AsyncClient`, each on an event loop of its own."""

    kind = AsyncClient

    def __call__(self, made: dict[str, Any], name: str, *args: Any, **kwargs: Any) -> Any:
        async def call() -> Any:
            async with AsyncClient(**made) as client:
                return await getattr(client, name)(*args, **kwargs)

        return asyncio.run(call())

    def some(self, made: dict[str, Any], count: int, name: str, *args: Any, **kwargs: Any) -> list[Any]:
        async def call() -> list[Any]:
            found: list[Any] = []
            async with AsyncClient(**made) as client:
                async for one in getattr(client, name)(*args, **kwargs):
                    found.append(one)
                    if len(found) == count:
                        break
            return found

        return asyncio.run(call())


@pytest.fixture(params=[Blocking(), Awaiting()], ids=["blocking", "async"])
def both(request: pytest.FixtureRequest) -> Blocking:
    return request.param


@pytest.fixture
def url(service: Service) -> Iterator[str]:
    with listening(service) as url:
        yield url


@pytest.fixture
def between(url: str) -> Iterator[Flaky]:
    with flaky(url) as running:
        yield running


Called = Callable[..., Any]


@pytest.fixture
def call(both: Blocking, service: Service, between: Flaky) -> Called:
    """Calls a method by its name, as a producer, through the flaky server."""

    def called(name: str, *args: Any, role: str = "producer", some: int | None = None, **kwargs: Any) -> Any:
        made = {"url": between.url, "token": service.tokens[role], "retries": QUICK} | kwargs.pop("client", {})
        if some is None:
            return both(made, name, *args, **kwargs)
        return both.some(made, some, name, *args, **kwargs)

    return called


def predictions(service: Service) -> list[dict]:
    return service.call("GET", "/v1/projects/shapes/predictions").json()["predictions"]


def answer(service: Service, *shapes: dict, seed: int = 0) -> str:
    """Predict a picture and have a person answer it; gives the prediction's id."""
    made = service.predict(picture(seed)).json()
    (task,) = service.call("POST", "/v1/projects/shapes/tasks/lease", "reviewer", json={"count": 1}).json()["tasks"]
    body = {"epoch": task["epoch"], "shapes": list(shapes)}
    assert service.call("POST", f"/v1/tasks/{task['id']}/submit", "reviewer", json=body).status_code == 200
    return made["id"]


# --- what there is ---------------------------------------------------------------------------------------


def test_both_clients_have_every_call() -> None:
    """None is written twice; what is not a description is the same on both by hand, and short."""
    described = {
        name for name in dir(Client) if isinstance(inspect.getattr_static(Client, name), Method | StreamMethod)
    }
    assert len(described) > 80
    client = Client("http://x", "")
    for name in described:
        assert inspect.getattr_static(Client, name) is inspect.getattr_static(AsyncClient, name)
        assert "self" not in inspect.signature(getattr(client, name)).parameters
    public = [{name for name in dir(kind) if not name.startswith("_")} - described for kind in (Client, AsyncClient)]
    assert public[0] == public[1]


def test_what_is_public_is_listed() -> None:
    """`from askance.client import *` gives what docs/client.md may use."""
    assert sorted(askance.client.__all__) == askance.client.__all__
    assert all(hasattr(askance.client, name) for name in askance.client.__all__)
    assert askance.client.Client is Client


def test_importing_it_loads_no_service() -> None:
    """Programs that only call need neither wait for torch nor have a database driver."""
    heavy = ["torch", "ray", "sqlalchemy", "fastapi", "faiss", "scipy.stats", "PIL", "mlflow", "cv2", "starlette"]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, askance.client; print([m for m in {heavy} if m in sys.modules])"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"


# --- images ----------------------------------------------------------------------------------------------


def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)


def read(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def test_a_file_is_sent_as_it_is(call: Called, tmp_path: Path) -> None:
    """Its bytes, a path, or a file that is open; and pixels arrive as they are."""
    content = picture()
    path = tmp_path / "street.png"
    path.write_bytes(content)
    with path.open("rb") as file:
        forms = [content, bytearray(content), memoryview(content), path, str(path), file, io.BytesIO(content)]
        made = {call("predict", "shapes", form, source="cam", group="clip").item_digest for form in forms}
    (digest,) = made
    item = call("item", "shapes", digest, role="operator")
    assert (item.source, item.group) == ("cam", "clip")
    assert call("image", "shapes", digest, role="operator") == content
    array = call("predict", "shapes", pixels())
    assert np.array_equal(read(call("image", "shapes", array.item_digest, role="operator")), pixels())


@pytest.mark.parametrize(
    "image",
    [
        pixels(),
        pixels()[::-1, ::2],
        Image.fromarray(pixels()),
        Image.fromarray(pixels()).convert("RGBA"),
        Image.fromarray(pixels()).convert("L"),
    ],
    ids=["array", "view", "pil", "alpha", "grey"],
)
def test_pixels_lose_nothing(image: Any) -> None:
    """Arrays and PIL images become files without loss."""
    before = image if isinstance(image, np.ndarray) else np.asarray(image.convert("RGB"))
    assert np.array_equal(read(encoded(image)), before)


@pytest.mark.parametrize(
    "wrong",
    [
        pixels().astype(np.float32),
        pixels()[..., :1],
        pixels()[..., 0],
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        None,
        7,
        io.StringIO("text"),
    ],
    ids=["float", "one", "flat", "empty", "four", "none", "number", "text"],
)
def test_what_is_no_image_is_not_sent(wrong: Any) -> None:
    """The error says what can be."""
    client = Client("http://127.0.0.1:1", "x")
    with pytest.raises(BadImage, match="Send"):
        client.predict("shapes", wrong)
    assert client.requests == 0


# --- failures --------------------------------------------------------------------------------------------


def test_a_lost_answer_makes_no_second_prediction(call: Called, service: Service, between: Flaky) -> None:
    """Whatever happens on the way, the tries of one predict are one prediction: they carry one key, made anew for the
    next."""
    between.does(LOSE, RESET, BUSY, LOSE)
    made = call("predict", "shapes", picture())
    assert [one["id"] for one in predictions(service)] == [made.id]
    keys = {one.key for one in between.seen}
    assert len(between.seen) == 5
    assert len(keys) == 1
    call("predict", "shapes", picture())
    assert between.seen[-1].key not in keys
    assert call("predict", "shapes", picture(1), key="mine").id == call("predict", "shapes", picture(1), key="mine").id


def test_reading_is_repeated(call: Called, between: Flaky) -> None:
    between.does(RESET, LOSE, (502, {}), (504, {}))
    assert call("project", "shapes", role="operator").id == "shapes"
    assert len(between.seen) == 5


def test_what_may_have_been_done_is_not_done_again(call: Called, service: Service, between: Flaky) -> None:
    """A new project, whose answer is lost: one request. But one that was refused unread is sent again."""
    between.does(LOSE)
    with pytest.raises(ServiceUnreachable, match="no answer"):
        call("create_project", "other", ["a"], role="operator")
    assert len(between.seen) == 1
    assert service.call("GET", "/v1/projects/other").status_code == 200
    between.does(BUSY, (429, {"Retry-After": "0"}))
    assert call("create_project", "third", ["a"], role="operator").id == "third"
    assert len(between.seen) == 3


def test_a_reviewers_answer_is_sent_until_it_is_known_to_be_there(call: Called, service: Service, between: Flaky):
    """Lease and submit give the same again, so that a lost answer costs nothing."""
    service.predict(picture())
    between.does(LOSE)
    (task,) = call("lease", "shapes", role="reviewer").tasks
    between.does(LOSE, RESET)
    box = ShapeIO(label="circle", box=[5, 5, 20, 20])
    call("submit", task.id, task.epoch, [box], active_seconds=0.001, role="reviewer")
    (said,) = call("item", "shapes", task.item_digest, role="operator").submissions
    assert said.active_seconds == 0.001


def test_the_time_that_a_skip_took_is_told(call: Called, service: Service) -> None:
    service.predict(picture())
    (task,) = call("lease", "shapes", role="reviewer").tasks
    assert call("heartbeat", task.id, task.epoch, role="reviewer").expires_at >= task.expires_at
    call("skip", task.id, task.epoch, "too dark", active_seconds=0.002, role="reviewer")
    (said,) = call("item", "shapes", task.item_digest, role="operator").submissions
    assert said.active_seconds == 0.002


def test_the_service_says_when_to_come_back(call: Called, between: Flaky) -> None:
    between.does((503, {"Retry-After": "1"}))
    call("project", "shapes", role="operator")
    first, second = between.seen
    assert second.at - first.at >= 1.0
    between.does((503, {"Retry-After": "1000"}))
    with pytest.raises(ApiError) as refused:
        call("project", "shapes", role="operator")
    assert (refused.value.status, refused.value.type) == (503, "/problems/http")


def test_silence_ends(call: Called, between: Flaky) -> None:
    """A try that is not answered in `timeout_s` has failed; reading is tried again."""
    between.does(HANG)
    assert call("project", "shapes", role="operator", client={"timeout_s": 1.0}).id == "shapes"
    assert len(between.seen) >= 2  # a busy machine may be late once more


def test_nobody_there(both: Blocking, between: Flaky) -> None:
    """A refused connection is tried again, whatever was asked; then the error says what to do."""
    port = between.port
    with flaky("") as gone:
        port = gone.port
    made = {"url": f"http://127.0.0.1:{port}", "token": "x", "retries": QUICK}
    with pytest.raises(ServiceUnreachable, match="askance up"):
        both(made, "create_project", "other", ["a"])
    assert both(made, "ready") is False
    client = Client(**made)
    with pytest.raises(ServiceUnreachable):
        client.promote("shapes", "m", "why")
    assert (client.requests, client.failures) == (5, 5)


def test_a_refusal_says_why(call: Called, between: Flaky) -> None:
    """As the service says it, at once, with the ids concerned."""
    with pytest.raises(ApiError) as refused:
        call("prediction", "shapes", "none?such#1")
    assert (refused.value.status, refused.value.type) == (404, "/problems/not-found")
    assert refused.value.detail and refused.value.hint
    assert refused.value.ids["id"] == "none?such#1"
    assert len(between.seen) == 1


def test_whatever_else_answers_there_is_not_taken_for_the_service(call: Called, between: Flaky) -> None:
    """A page of a proxy, with status 200."""
    between.does((200, {}), (200, {}))
    with pytest.raises(ServiceUnreachable, match="no answer of Askance"):
        call("predict", "shapes", picture())
    with pytest.raises(ServiceUnreachable, match="no answer of Askance"):
        call("project", "shapes", role="operator")


def test_a_deadline_is_the_callers(call: Called, between: Flaky, service: Service) -> None:
    """`timeout` bounds all tries together; a service that is not asked in vain says so itself."""
    between.does(*[(503, {"Retry-After": "1"})] * 9)
    with pytest.raises(ApiError):
        call("predict", "shapes", picture(), timeout=0.5, client={"retries": Retries(times=100)})
    assert len(between.seen) <= 3
    assert "timeout=0.5" in between.seen[0].path


# --- streams and waiting ---------------------------------------------------------------------------------


def test_reviews_come_in_order_and_go_on(call: Called, service: Service, between: Flaky) -> None:
    """From the first, or behind a cursor that the caller kept; what is settled meanwhile follows, and an outage is
    waited out."""
    made = [answer(service, seed=seed) for seed in range(3)]
    found = call("reviews", "shapes", some=2)
    assert [one.prediction_id for one in found] == made[:2]
    between.does("pass", *[RESET] * 7)
    with ThreadPoolExecutor() as pool:
        following = pool.submit(call, "reviews", "shapes", some=2, after=found[-1].cursor, every_s=0.05)
        while len(between.seen) < 4:
            threading.Event().wait(0.01)
        box = {"label": "circle", "box": [5, 5, 20, 20]}
        made.append(answer(service, box, seed=9))
        last, new = following.result(30)
    assert [last.prediction_id, new.prediction_id] == made[2:]
    assert (new.failed, new.corrections, new.truth_version) == (True, {"missed": 1}, 1)


def test_reviews_of_a_project_that_is_not_there_end(call: Called) -> None:
    with pytest.raises(ApiError) as refused:
        call("reviews", "nowhere", some=1)
    assert refused.value.status == 404


def test_each_review_is_called_back_at_least_once(both: Blocking, service: Service, url: str) -> None:
    """In order; whoever goes on from the cursor of the last that was worked off gets again what broke."""
    made = [answer(service, seed=seed) for seed in range(3)]
    seen: list[Any] = []
    broken = [made[1]]

    def work(review: Any) -> None:
        if review.prediction_id in broken:
            broken.clear()
            raise KeyError("a consumer's own error")
        seen.append(review)

    async def awaited(review: Any) -> None:
        work(review)

    callback = work if both.kind is Client else awaited
    asked = {"url": url, "token": service.tokens["producer"]}
    with pytest.raises(KeyError, match="own error"):
        both(asked, "on_reviewed", "shapes", callback, every_s=0.01)
    both(asked, "on_reviewed", "shapes", callback, after=seen[-1].cursor, every_s=0.01, stop=lambda: len(seen) == 3)
    assert [one.prediction_id for one in seen] == made


def test_whoever_waits_gets_what_people_say(call: Called, service: Service) -> None:
    """At once where nobody is asked or somebody has answered; else when that happens, or what there is in the end."""
    done = answer(service)
    assert call("wait_for", "shapes", done, 30).corrections == {}
    made = service.predict(picture(1)).json()
    assert call("wait_for", "shapes", made["id"], 0.1).corrections is None
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(call, "wait_for", "shapes", made["id"], 30)
        (task,) = call("lease", "shapes", role="reviewer").tasks
        call("submit", task.id, task.epoch, [ShapeIO(label="circle", box=[5, 5, 20, 20])], role="reviewer")
        assert waiting.result(30).corrections == {"missed": 1}


def test_lists_lead_to_what_there_is(call: Called, service: Service) -> None:
    """What ML teams read: items, models, cycles, selections."""
    digests = [service.predict(picture(seed)).json()["item_digest"] for seed in range(3)]
    page = call("items", "shapes", role="operator", limit=2)
    rest = call("items", "shapes", role="operator", after=page.next)
    assert [item.digest for item in [*page.items, *rest.items]] == digests[::-1]
    assert [model.champion for model in call("models", "shapes", role="operator").models] == [True]
    assert call("cycles", "shapes", role="operator").cycles == []
    assert call("selections", "shapes", role="operator").selections == []
    assert call("await_champion", "shapes", role="operator")


def test_what_a_selection_can_choose_by_is_listed(call: Called) -> None:
    """To anybody who may call, as the service tells it."""
    told = call("strategies")
    assert {one.name for one in told.strategies} >= {"balanced-herding", "random"}
    assert sum(told.default.values()) == pytest.approx(1.0) and told.default.keys() <= {
        one.name for one in told.strategies
    }


def test_the_search_index_is_read_and_followed_until_it_is_ready(call: Called, service: Service, between: Flaky):
    """Asking begins nothing, following does, at whichever gateway process answers; it is asked for again where the
    answer was lost."""
    service.predict(picture(0))
    for _ in range(2):
        unread = call("search_index", "shapes", role="operator")
        assert (unread.phase, unread.waiting, unread.progress, unread.lists) == ("unread", 1, None, None)
    between.does(LOSE)
    (*_, last) = call("follow_index", "shapes", role="operator", every_s=0.01, some=100)
    assert (last.phase, last.embeddings, last.waiting) == ("ready", 1, 0)
    assert call("read_index", "shapes", role="operator").phase == "ready"


def test_a_file_is_sent_again_from_its_beginning(call: Called, between: Flaky, tmp_path: Path) -> None:
    """A video that the service had no room for."""
    clip = tmp_path / "street.mp4"
    clip.write_bytes(video(pictures(3)))
    between.does(BUSY)
    made = call("upload_clip", "shapes", clip, role="operator", every=1)
    assert call("group", "shapes", made.id, role="operator").frames == 3
    assert [group.id for group in call("groups", "shapes", role="operator", some=5)] == [made.id]
