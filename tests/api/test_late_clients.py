"""Many clients at once over real sockets, half of whom come too late."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from loop.domain.access import Role
from tests.api.conftest import Service, listening, picture
from tests.api.test_review import BOX

CLIENTS = 64
LEASE_SECONDS = 5  # the shortest that a policy may have


@pytest.fixture
def headers(service: Service) -> list[dict[str, str]]:
    assert service.call("PATCH", "/v1/projects/shapes/policy", json={"lease_seconds": LEASE_SECONDS}).is_success
    for seed in range(CLIENTS):
        assert service.predict(picture(seed)).status_code == 200
    make = service.services.tokens.create
    secrets = [make(f"r{number}", Role.REVIEWER, "shapes")[1] for number in range(CLIENTS)]
    return [{"Authorization": f"Bearer {secret}"} for secret in secrets]


def test_whoever_pauses_past_the_expiry_gets_a_409(service: Service, headers: list[dict[str, str]]) -> None:
    """64 clients have a task each. Half answer; the others stop until their leases have run out, the first half take
    their tasks and answer, and then theirs come too. Each task counts once, and every late answer is refused."""
    start = threading.Barrier(CLIENTS, timeout=60)

    def client(number: int) -> list[tuple[str, str, int]]:
        """What was answered, how, and the status."""
        said = []
        with httpx.Client(base_url=url, headers=headers[number], timeout=60.0, trust_env=False) as http:
            start.wait()
            mine = lease(http)
            start.wait()
            if number % 2:
                said.append(answer(http, mine, "in time"))
            time.sleep(LEASE_SECONDS + 1)
            start.wait()
            if number % 2:
                said.append(answer(http, lease(http), "new"))
            start.wait()  # all tasks are in other hands now
            if not number % 2:
                said.append(answer(http, mine, "late"))
        return said

    with listening(service) as url, ThreadPoolExecutor(CLIENTS) as pool:
        said = [one for of_client in pool.map(client, range(CLIENTS)) for one in of_client]
    statuses = {how: {status for _, its, status in said if its == how} for how in ("in time", "new", "late")}
    assert statuses == {"in time": {200}, "new": {200}, "late": {409}}
    assert set(Counter(task for task, how, _ in said if how != "late").values()) == {1}
    with service.services.store.read() as tx:
        kept = tx.submissions.page("shapes", after=None, limit=999)
    assert Counter(one.note for one in kept) == {"in time": CLIENTS // 2, "new": CLIENTS // 2}
    assert max(Counter(one.task_id for one in kept).values()) == 1


def lease(http: httpx.Client) -> dict:
    answer = http.post("/v1/projects/shapes/tasks/lease", json={"count": 1})
    assert answer.status_code == 200, answer.text
    (task,) = answer.json()["tasks"]
    return task


def answer(http: httpx.Client, task: dict, how: str) -> tuple[str, str, int]:
    body = {"epoch": task["epoch"], "shapes": [BOX], "note": how}
    return task["id"], how, http.post(f"/v1/tasks/{task['id']}/submit", json=body).status_code
