"""The bridge against a real Label Studio from PyPI: `make test-label-studio`.

Its environment takes one to three minutes to install (kept under benchmarks/.cache), its first start one more, so that
the usual run leaves this file out: its name is not of a kind that pytest collects by itself.
ASKANCE_TEST_LABEL_STUDIO=FOLDER keeps Label Studio's data there for the next run.
"""

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from benchmarks.queue_peers.label_studio import LabelStudio
from benchmarks.serving_peers.environments import LABEL_STUDIO
from loop.domain.access import Role
from loop.domain.errors import SettingsError
from loop.domain.review.tasks import Submission
from loop.label_studio.server import HttpLabelStudio
from loop.store.database import SqlStore
from tests.api.conftest import LABELS, picture, running_in
from tests.api_server import KillableServer
from tests.label_studio import lead, region

pytestmark = pytest.mark.label_studio

TASKS = 40
KILLS = int(os.environ.get("LABEL_STUDIO_KILLS", "12"))  # of a push, and as many of a pull


@dataclass
class Real:
    """Label Studio with two people: a manager, whose token the bridge has, and an annotator."""

    url: str
    tokens: list[str]
    titles: Iterator[str] = field(default_factory=lambda: (f"bridge {time.time_ns()}" for _ in iter(int, 1)))

    def client(self, who: int = 1) -> httpx.Client:
        headers = {"Authorization": f"Token {self.tokens[who]}"}
        return httpx.Client(base_url=self.url, headers=headers, trust_env=False, timeout=60)

    def with_personal_token(self) -> str:
        """A second one may not be made there, so it is kept with the others."""
        if len(self.tokens) < 3:
            with self.client(0) as client:
                self.tokens.append(client.post("/api/token/").json()["token"])
        return self.tokens[2]

    def tasks(self, place: int) -> list[dict]:
        with self.client(0) as client:
            asked = {"project": place, "page_size": 500, "fields": "task_only"}
            return client.get("/api/tasks/", params=asked).json()["tasks"]

    def annotate(self, remote: int, result: list[dict], **more: object) -> int:
        with self.client() as client:
            body = {"result": result, "lead_time": 4.5, **more}
            response = client.post(f"/api/tasks/{remote}/annotations/", json=body)
            assert response.status_code == 201, response.text
            return response.json()["id"]

    def change(self, annotation: int, result: list[dict]) -> None:
        with self.client() as client:
            assert client.patch(f"/api/annotations/{annotation}/", json={"result": result}).status_code == 200


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    kept = os.environ.get("ASKANCE_TEST_LABEL_STUDIO")
    place = Path(kept) if kept else tmp_path_factory.mktemp("label-studio")
    peer = LabelStudio(LABEL_STUDIO.python(Console()), place)
    tokens = place / "tokens"
    if not tokens.is_file():
        with peer.served():
            pass  # makes its database
        tokens.write_text("\n".join(peer.populated(users=2, tasks=0)["tokens"]))
    with peer.served() as server:
        running = Real(server.url, tokens.read_text().split())
        running.with_personal_token()
        tokens.write_text("\n".join(running.tokens))
        yield running


@pytest.fixture(params=["legacy", "personal"])
def token(request: pytest.FixtureRequest, real: Real) -> str:
    return real.tokens[0] if request.param == "legacy" else real.with_personal_token()


def test_out_and_back(real: Real, token: str, tmp_path: Path, sqlite_template: Path) -> None:
    """Tasks lie there with their images and what the model says; answers come back as their authors', once; skips are
    skips; what is wrong is told and, mended, taken; an edit is told, and taken when asked for."""
    with running_in(tmp_path, sqlite_template, **_environ(real, token)) as service:
        for seed in range(5):
            service.predict(picture(seed))
        title = next(real.titles)
        pushed = lead(service, "push", title=title, count=4)
        assert (len(pushed["sent"]), pushed["waiting"], pushed["more"]) == (4, 4, False)
        assert lead(service, "push", title=title, count=4)["sent"] == []
        place = int(pushed["address"].rsplit("/", 1)[1])
        there = real.tasks(place)
        assert {task["id"] for task in there} == {task["remote"] for task in pushed["sent"]}
        with real.client() as client:
            images = [client.get(task["data"]["image"]).content for task in there]
            detail = client.get(f"/api/tasks/{there[0]['id']}/").json()
        assert set(images) <= {picture(seed) for seed in range(5)}
        (proposed,) = detail["predictions"]
        assert proposed["model_version"].startswith("model_")
        assert {one["type"] for one in proposed["result"]} <= {"rectanglelabels"}
        (mine,) = service.call("POST", "/v1/projects/shapes/tasks/lease", "reviewer", json={"count": 9}).json()["tasks"]
        assert mine["id"] not in {task["task_id"] for task in pushed["sent"]}

        numbers = [task["id"] for task in there]
        first = real.annotate(numbers[0], [region("circle", 10, 10, 50, 50)])
        real.annotate(numbers[1], [], was_cancelled=True)
        wrong = real.annotate(numbers[2], [region("dog", 10, 10, 50, 50)])
        told = lead(service, "pull")["told"]
        assert Counter(one["what"] for one in told) == {"answered": 1, "skipped": 1, "problem": 1}
        assert {one["author"] for one in told} == {"r1@example.org"}
        again = lead(service, "pull")["told"]
        assert [one["what"] for one in again] == ["problem"]
        answers = _submissions(service.services.store)
        assert {(one.reviewer, one.outcome) for one in answers} == {
            ("label-studio:r1@example.org", "submitted"),
            ("label-studio:r1@example.org", "skipped"),
        }
        assert len(answers) == 2
        real.change(wrong, [region("bar", 10, 10, 50, 50)])
        assert [one["what"] for one in lead(service, "pull")["told"]] == ["answered"]
        assert lead(service, "pull")["told"] == []

        real.change(first, [region("square", 0, 0, 50, 50)])
        assert [one["what"] for one in lead(service, "pull")["told"]] == ["changed"]
        assert len(_submissions(service.services.store)) == 3
        assert [one["what"] for one in lead(service, "pull", take_edits=True)["told"]] == ["answered"]
        assert lead(service, "pull", take_edits=True)["told"] == []
        assert len(_submissions(service.services.store)) == 4
        released = lead(service, "release")
        assert [one["what"] for one in released["told"]] == ["released"]
        assert len(real.tasks(place)) == 3


def test_a_wrong_token_is_told(real: Real) -> None:
    """Whatever its kind, it is told as a wrong setting, and is in no message."""
    for wrong in ("0123456789abcdef0123456789abcdef01234567", "eyJhbGciOi.eyJ0b2tlb.c2ln"):
        server = HttpLabelStudio(real.url, wrong, True, 30.0)
        with pytest.raises(SettingsError) as refused:
            server.project("never made", "<View/>")
        assert wrong not in str(refused.value)
        assert wrong not in repr(server)


def test_killed_in_the_middle_nothing_is_twice_or_lost(real: Real, tmp_path: Path, sqlite_template: Path) -> None:
    """SIGKILL of the service in the middle of pushes and pulls, again and again: each task lies there once, and each
    answer is here once."""
    environ = _environ(real, real.tokens[0])
    with running_in(tmp_path, sqlite_template, **environ) as service:
        for seed in range(TASKS):
            service.predict(picture(seed))
        secret = service.services.tokens.create("op", Role.OPERATOR, None)[1]
    server = KillableServer({"ASKANCE_DATA_DIR": str(tmp_path), **environ}, tmp_path / "server.log")
    killing = _Killing(server, secret, random.Random(7))
    title = next(real.titles)
    wish = {"title": title, "count": TASKS}
    pushed = killing.until("push", wish, done=lambda answer: answer["waiting"] == TASKS and not _open(answer))
    there = real.tasks(int(pushed["address"].rsplit("/", 1)[1]))
    assert len(there) == TASKS
    assert len({task["data"]["askance"] for task in there}) == TASKS
    for number, task in enumerate(there):
        result = [region(LABELS[number % 3], number % 40, 5, 30, 30)]
        real.annotate(task["id"], result if number % 5 else [], was_cancelled=number % 5 == 0)
    killing.until("pull", {}, done=lambda answer: answer["next"] is None and not answer["told"])
    store = SqlStore.open(f"sqlite:///{tmp_path}/askance.db")
    said = _submissions(store)
    store.close()
    assert Counter(Counter(one.task_id for one in said).values()) == {1: TASKS}
    assert Counter(one.outcome for one in said) == {"submitted": TASKS - 8, "skipped": 8}


@dataclass
class _Killing:
    server: KillableServer
    secret: str
    rng: random.Random

    def until(self, what: str, body: dict, done) -> dict:
        """Kill KILLS times while it works, then let it end."""
        for _ in range(KILLS):
            self._started()
            caller = threading.Thread(target=self._some, args=(what, body))
            caller.start()
            time.sleep(self.rng.uniform(0.05, 1.5))
            self.server.kill()
            caller.join()
        self._started()
        deadline = time.monotonic() + 240
        answer = None
        while time.monotonic() < deadline:
            answer = self._called(what, body)
            if answer is not None and done(answer):
                self.server.kill()
                return answer
            time.sleep(0.2)
        raise AssertionError(answer)

    def _some(self, what: str, body: dict) -> None:
        with suppress(httpx.HTTPError):
            for _ in range(5):
                self._called(what, body)

    def _called(self, what: str, body: dict) -> dict | None:
        """The answer; None where Label Studio was too slow for the service's short time-out."""
        headers = {"Authorization": f"Bearer {self.secret}"}
        with httpx.Client(base_url=self.server.url, headers=headers, trust_env=False, timeout=120) as client:
            response = client.post(f"/v1/projects/shapes/label-studio/{what}", json=body)
        assert response.status_code in (200, 503), response.text
        return response.json() if response.status_code == 200 else None

    def _started(self) -> None:
        self.server.start()
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with suppress(httpx.HTTPError):
                httpx.get(f"{self.server.url}/healthz", trust_env=False)
                return
            time.sleep(0.05)
        raise AssertionError(self.server.told())


def _open(answer: dict) -> bool:
    return answer["more"] or answer["in_hand"] > 0


def _environ(real: Real, token: str) -> dict[str, str]:
    return {
        "ASKANCE_LABEL_STUDIO__URL": real.url,
        "ASKANCE_LABEL_STUDIO__TOKEN": token,
        "ASKANCE_LABEL_STUDIO__ALLOW_PRIVATE": "true",
        "ASKANCE_LABEL_STUDIO__TIMEOUT_S": "4",
    }


def _submissions(store: SqlStore) -> list[Submission]:
    with store.read() as tx:
        return tx.submissions.page("shapes", after=None, limit=200)
